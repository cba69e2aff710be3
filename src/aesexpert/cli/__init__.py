"""The `aesexpert` command: a module for each group of subcommands, a thin function for each.

Everything heavy is imported inside these functions, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence

from aesexpert._version import __version__
from aesexpert.cli import bench, convert, data, generate, pull, push
from aesexpert.llm.errors import Interrupted


GROUPS = (bench, data, convert, generate, pull, push)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line.

    An error that the user can mend is printed in place of a traceback, and ends the process with status 1.

    Args:
        arguments (`Sequence[str]`, *optional*): The arguments, by default the process's.
    """
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except Exception as error:
        # what the package raises by a name of its own is meant for the user; anything else is a defect of ours
        if not (type(error).__module__.startswith("aesexpert.") or isinstance(error, FileNotFoundError)):
            raise
        print(f"aesexpert: error: {error}", file=sys.stderr)
        # a job that was told to stop says so in its status, as a shell expects
        sys.exit(128 + error.signal_number if isinstance(error, Interrupted) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aesexpert", description="Image aesthetics perception with vision-language models."
    )
    parser.add_argument("--version", action="version", version=f"aesexpert {__version__}")
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(groups)
    return parser
