"""`aesexpert pull`: fetching from the Hub."""

import argparse

from aesexpert.cli._command import Subparsers, add_command


def add_to(groups: Subparsers) -> None:
    """Adds this command."""
    example = "aesexpert pull acme/aesmmit"
    description = "Fetch a data set, a model or the metric from the Hub into a folder, then used by its bare name."
    parser = add_command(groups, "pull", pull, description, example)
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="the repository")
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="where to put it (default: NAME)")
    parser.add_argument("--type", choices=["dataset", "model", "space"], help="what it is (default: found out)")
    parser.add_argument("--revision", help="a branch, tag or commit (default: the newest)")


def pull(options: argparse.Namespace) -> None:
    """`aesexpert pull`: fetches a repository."""
    from aesexpert.hub.pull import pull as pull_repository

    print(pull_repository(options.repo_id, options.folder, repo_type=options.type, revision=options.revision))
