"""Times building AesMMIT against copying the same bytes and against decoding all pictures.

    python benchmarks/building.py

Pictures are checked by their headers and ends and taken over byte for byte, so building should cost little more than
copying, and much less than decoding would.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from aesexpert.data import read_source, write_dataset


CARD_TEMPLATE = Path(__file__).resolve().parents[1] / "model_cards" / "dataset_card.md"
SIDE = 1024


def main() -> int:
    """Runs the script and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300, help="how many pictures to build from (default: 300)")
    parser.add_argument("--repeats", type=int, default=3, help="the best of how many runs counts (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch, "source"), Path(scratch, "out")
        size = write_source(source, options.pictures)
        read_source(source)  # so that no run is the first to read the files
        building = best_time(lambda: write_dataset(read_source(source), out, CARD_TEMPLATE), options.repeats)
        copying = best_time(lambda: copy(source, Path(scratch, "copy")), options.repeats)
        decoding = best_time(lambda: decode(source), options.repeats)
    print(f"{options.pictures} pictures, {size / 1e6:.0f} MB: building {building:.2f} s, ", end="")
    print(f"copying {copying:.2f} s, decoding {decoding:.2f} s")
    print(f"building / copying: {building / copying:.1f}")
    print(f"decoding / building: {decoding / building:.1f}")
    return 0


def write_source(folder: Path, pictures: int) -> int:
    """Writes a source folder with pictures of the size and compressibility of photographs; returns their bytes."""
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    table, feedback = ["image_id,file,split,source,scene"], []
    for number in range(pictures):
        shapes = Image.fromarray(random.integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8)).resize((SIDE, SIDE))
        grain = random.integers(-12, 13, (SIDE, SIDE, 1))
        picture = Image.fromarray((np.asarray(shapes) + grain).clip(0, 255).astype(np.uint8))
        picture.save(folder / "images" / f"{number}.jpg", quality=90)
        table.append(f"{number},{number}.jpg,train,NI,abstract")
        row = {"image_id": str(number), "part": "reasons", "question": "Why?", "critique": "Grainy.", "annotator": "a"}
        feedback.append(json.dumps(row))
    (folder / "sources.csv").write_text("\n".join(table) + "\n")
    (folder / "feedback.jsonl").write_text("\n".join(feedback) + "\n")
    return sum(path.stat().st_size for path in (folder / "images").iterdir())


def copy(source: Path, target: Path) -> None:
    """Copies a folder."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def decode(source: Path) -> None:
    """Decodes all pictures of a folder."""
    for path in (source / "images").iterdir():
        with Image.open(path) as picture:
            picture.load()


def best_time(run: Callable[[], object], repeats: int) -> float:
    """The shortest wall time of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
