"""Turns AVA-Comments into a source folder: pictures by id, and what people wrote of them (section 5.4 of the paper).

    python dataset_scripts/read_ava_comments.py ava-comments ava-images ava-source
    python dataset_scripts/build_aesmmit.py ava-source ava-comments-data

AVA's pictures and comments are their authors'; get them from those who publish AVA.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "comments", type=Path, help="folder of ID.txt, one comment a line; or CSV of image_id, comment"
    )
    parser.add_argument("pictures", type=Path, help="folder of the pictures, named by their ids")
    parser.add_argument("out", type=Path, help="source folder to make")
    options = parser.parse_args(arguments)

    from aesexpert.data import SourceError, read_ava_comments

    try:
        count = read_ava_comments(options.comments, options.pictures, options.out)
    except (SourceError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.out}: {count:,} pictures with comments")
    return 0


if __name__ == "__main__":
    sys.exit(main())
