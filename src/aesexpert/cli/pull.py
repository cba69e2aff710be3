"""`aesexpert pull`: fetching from the Hub, and unpacking the published archives."""

import argparse
import getpass
import os
import sys
from pathlib import Path

from aesexpert.cli._command import Subparsers, add_command


PASSWORD = "AESBENCH_PASSWORD"


def add_to(groups: Subparsers) -> None:
    """Adds this command."""
    example = "aesexpert pull acme/aesmmit"
    description = (
        "Fetch a data set, a model or the metric from the Hub into a folder, then used by its bare name; or unpack a "
        "published archive of AesMMIT or AesBench, on the Hub or here, into the folder that load_dataset or "
        f"`aesexpert bench run` reads. The password of AesBench's archive is taken from {PASSWORD} or asked for."
    )
    parser = add_command(groups, "pull", pull, description, example)
    parser.add_argument(
        "source", metavar="OWNER/NAME", help="the repository; or an archive (.zip), or a folder with it"
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="where to put it (default: NAME)")
    parser.add_argument("--type", choices=["dataset", "model", "space"], help="what it is (default: found out)")
    parser.add_argument("--revision", help="a branch, tag or commit (default: the newest)")


def pull(options: argparse.Namespace) -> None:
    """`aesexpert pull`: fetches a repository, or unpacks an archive."""
    from aesexpert.hub.pull import pull as fetch
    from aesexpert.hub.pull import unpack

    if options.source.endswith(".zip") or any(Path(options.source).glob("*.zip")):
        pulled = unpack(options.source, options.folder, ask_password=ask_password)
    else:
        pulled = fetch(
            options.source,
            options.folder,
            repo_type=options.type,
            revision=options.revision,
            ask_password=ask_password,
        )
    print(pulled.folder)
    for label, count in sorted(pulled.unknown_labels.items()):
        print(f"unknown label, kept in sources.csv: {label} ({count} rows)", file=sys.stderr)


def ask_password(archive: str) -> str:
    """Takes an archive's password from the environment, or asks for it without showing it."""
    from aesexpert.data.archives import PasswordError

    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not sys.stdin.isatty():
        raise PasswordError(f"{archive} is encrypted; set {PASSWORD} to its password")
    return getpass.getpass(f"password of {archive}: ")
