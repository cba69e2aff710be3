"""Memory and reading of a push: how many times the size of a data set is read, and the most memory that takes.

    python benchmarks/pushing.py           # 2 GB of pictures
    python benchmarks/pushing.py --mb 400

Makes a data set of noise pictures, pushes it to a local Hub from a process of its own, and pushes it again. What a
process reads is counted by the operating system (`rchar` of `/proc/self/io`), its libraries' own files included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image


ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PICTURE_BYTES = 1_000_000

PUSH = """
import json, sys
from aesexpert.cli import main
def noted(file, name):
    return int(next(line.split()[1] for line in open(f"/proc/self/{file}") if line.startswith(name)))
import aesexpert.hub.dataset, aesexpert.hub.publication, datasets, pandas
before = noted("io", "rchar")
main(["push", "dataset", sys.argv[1], "acme/large", "--license", "other", "--data-source", "noise"])
memory = 1024 * noted("status", "VmHWM")  # the usual ru_maxrss begins with the memory of the process that started this
print(json.dumps({"read": noted("io", "rchar") - before, "memory": memory}))
"""


def main() -> None:
    options = _parse()
    from aesexpert.data import read_source, write_dataset
    from hub import serve

    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        source = _write_source(Path(scratch) / "source", options.mb)
        folder = write_dataset(
            read_source(source), Path(scratch) / "aesmmit", ROOT / "model_cards" / "dataset_card.md"
        )
        size = sum(path.stat().st_size for path in folder.glob("data/*.parquet"))
        with serve(Path(scratch) / "hub") as hub:
            for name in ("first push", "second push"):
                start = len(hub.log)
                measured = _push(folder, hub.env)
                sent = sum(entry["method"] == "PUT" for entry in hub.log[start:])
                print(
                    f"{name}: {size / 1e9:.2f} GB of data, read {measured['read'] / size:.2f} times, "
                    f"peak memory {measured['memory'] / 1e6:.0f} MB, {sent} files sent"
                )


def _write_source(folder: Path, megabytes: int) -> Path:
    (folder / "images").mkdir(parents=True)
    rows = list(_pictures(folder / "images", megabytes * 1_000_000 // PICTURE_BYTES))
    (folder / "sources.csv").write_text("image_id,file,split,source,scene,licence\n" + "".join(rows))
    critique = {"image_id": "0", "part": "grade", "question": "How?", "critique": "Noisy.", "annotator": "a"}
    (folder / "feedback.jsonl").write_text(json.dumps(critique) + "\n")
    return folder


def _pictures(folder: Path, count: int) -> Iterator[str]:
    """Pictures of random pixels, which no format makes smaller."""
    side = int((PICTURE_BYTES / 3) ** 0.5)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=0)
        yield f"{number},{number}.png,train,NI,noise,CC0-1.0\n"


def _push(folder: Path, environment: dict[str, str]) -> dict[str, int]:
    line = [sys.executable, "-c", PUSH, str(folder)]
    result = subprocess.run(line, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mb", type=int, default=2000, help="size of the pictures in megabytes (default: %(default)s)"
    )
    parser.add_argument("--scratch", help="folder with room for three times as much (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
