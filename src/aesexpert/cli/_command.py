"""What the groups of subcommands share: how a subcommand describes itself, and types of arguments."""

import argparse
from collections.abc import Callable
from typing import TypeAlias


Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_group(groups: Subparsers, name: str, description: str) -> Subparsers:
    """Adds a group, and returns where its subcommands go."""
    help_text = description[0].lower() + description[1:].rstrip(".")
    group = groups.add_parser(name, help=help_text, description=description)
    return group.add_subparsers(required=True, metavar="COMMAND")


def add_command(
    commands: Subparsers, name: str, function: Callable[[argparse.Namespace], None], description: str, example: str
) -> argparse.ArgumentParser:
    """Adds a subcommand with an example below its help."""
    parser = commands.add_parser(
        name,
        help=description[0].lower() + description[1:].rstrip("."),
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def positive(text: str) -> int:
    """Reads a number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value
