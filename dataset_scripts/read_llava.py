"""Turns LLaVA-style JSON with a folder of pictures into a source folder.

    python dataset_scripts/read_llava.py instructions.json pictures my-source
    python dataset_scripts/build_aesmmit.py my-source my-data

All pictures become training pictures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON list of rows with `image` and `conversations`")
    parser.add_argument("pictures", type=Path, help="folder of the pictures")
    parser.add_argument("out", type=Path, help="source folder to make")
    options = parser.parse_args(arguments)

    from aesexpert.data import read_llava_json
    from aesexpert.data.released import ReleaseError

    try:
        count = read_llava_json(options.file, options.pictures, options.out)
    except (ReleaseError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.out}: {count:,} pictures with instructions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
