"""`aesexpert data`: looking into data."""

import argparse
from pathlib import Path

from aesexpert.cli._command import Subparsers, add_command, add_group


def add_to(groups: Subparsers) -> None:
    """Adds this group to the command."""
    commands = add_group(groups, "data", "Look into data.")
    _add_stats(commands)
    _add_export(commands)


def stats(options: argparse.Namespace) -> None:
    """`aesexpert data stats`: counts what a source folder or a data set holds."""
    from aesexpert.data import dataset_statistics, read_source, source_statistics

    folder = Path(options.folder)
    built = any(folder.glob("data/*.parquet"))
    statistics = dataset_statistics(folder) if built else source_statistics(read_source(folder))
    print(statistics.to_markdown())


def _add_stats(commands: Subparsers) -> None:
    example = "aesexpert data stats dataset_scripts/demo"
    description = "Count what a source folder or a built data set holds."
    parser = add_command(commands, "stats", stats, description, example)
    parser.add_argument("folder", metavar="FOLDER", help="source folder, or folder of a built data set")


def export(options: argparse.Namespace) -> None:
    """`aesexpert data export`: writes the instructions in the form of other trainers."""
    from aesexpert.data import export_llava

    for split, count in export_llava(options.folder, options.out).items():
        print(f"{options.out}/{split}.json: {count:,} instructions")


def _add_export(commands: Subparsers) -> None:
    example = "aesexpert data export aesmmit aesmmit-llava --format llava"
    description = "Write the instructions in the form that other trainers read."
    parser = add_command(commands, "export", export, description, example)
    parser.add_argument("folder", metavar="DATA", help="built data set (folder or Hub id), or source folder")
    parser.add_argument("out", metavar="OUT", help="folder to make: a JSON file a split, and images/")
    parser.add_argument("--format", choices=("llava",), default="llava", help="LLaVA-style JSON (default)")
