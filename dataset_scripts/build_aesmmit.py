"""Builds AesMMIT from a source folder: Parquet files with a card, ready for `load_dataset` and for the Hub.

    python dataset_scripts/build_aesmmit.py dataset_scripts/demo aesmmit

Everything in the source folder is checked first. If anything is wrong, the messages say where and how to mend it, the
exit status is 1, and nothing is written.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from aesexpert.data import SourceFolder, Statistics

CARD_TEMPLATE = Path(__file__).resolve().parents[1] / "model_cards" / "dataset_card.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit status."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through the clean-up of what was begun

    from aesexpert.data import SourceError, read_source

    try:
        source = read_source(options.source, skip_bad=options.skip_bad)
        statistics = _build(source, options.out)
    except (SourceError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for problem in source.problems:
        print(f"skipped: {problem}", file=sys.stderr)
    print(f"{options.out}: {statistics.pictures:,} pictures, {sum(statistics.kinds.values()):,} instructions\n")
    print(statistics.to_markdown())
    return 0


def _build(source: "SourceFolder", out: Path) -> "Statistics":
    from aesexpert.data import source_statistics, write_dataset

    write_dataset(source, out, CARD_TEMPLATE)
    return source_statistics(source)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the source folder")
    parser.add_argument("out", type=Path, help="the folder to make; one that this script made before is replaced")
    parser.add_argument("--skip-bad", action="store_true", help="leave out what is wrong, report it and go on")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
