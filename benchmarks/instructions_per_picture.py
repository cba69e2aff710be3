"""What sharing a picture costs in mixing: `python benchmarks/instructions_per_picture.py` (after `make demo`).

Trains the demo's starting model on the same number of instructions with `packing: one` and with `packing: shared` at
4, 8 and all instructions a picture, two seeds each, and measures the loss on instructions of validation pictures on
the way. The pictures are the demo's without their damaged copies, about 14 instructions with short answers each. Draws
the loss against instructions seen and against training time, evaluation left out.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "instructions_per_picture"
PATHS = {
    "one": ["--packing", "one"],
    "shared, K = 4": ["--packing", "shared", "--instructions_per_picture", "4"],
    "shared, K = 8": ["--packing", "shared", "--instructions_per_picture", "8"],
    "shared, all": ["--packing", "shared", "--instructions_per_picture", "1000"],  # the demo's recipe has 1
}
SEEDS = (1, 2)
BATCH_SIZE = 16
Curve = tuple[list[int], list[float], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--steps", type=int, default=24, help=f"steps of {BATCH_SIZE} instructions (default: %(default)s)"
    )
    parser.add_argument("--pictures", type=int, default=3, help="validation pictures (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "instructions_per_picture.png")
    args = parser.parse_args()
    build = [sys.executable, "dataset_scripts/build_aesmmit.py", "dataset_scripts/demo", str(BUILD / "aesmmit")]
    subprocess.run(build, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    runs = list(product(PATHS, SEEDS))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # one run a core, all alike
        curves = dict(
            zip(runs, pool.map(lambda run: train(run[0], run[1], args.steps, args.pictures), runs), strict=True)
        )
    print("| path | seed | loss at the end | seconds an instruction |\n|---|--:|--:|--:|")
    for (path, seed), (seen, seconds, losses) in curves.items():
        print(f"| {path} | {seed} | {losses[-1]:.3f} | {seconds[-1] / seen[-1]:.2f} |")
    draw(curves, args.out)
    print(f"\n{args.out}")


def train(path: str, seed: int, steps: int, pictures: int) -> Curve:
    """One run in a process of its own: instructions seen, seconds of training and loss at each evaluation."""
    folder = BUILD / f"{path}-{seed}"
    options = {
        "dataset_name": str(BUILD / "aesmmit"),
        "output_dir": str(folder),
        "max_steps": steps,
        "warmup_steps": max(1, steps // 6),
        "per_device_train_batch_size": BATCH_SIZE,
        "per_device_eval_batch_size": BATCH_SIZE,
        "versions_together": "false",
        "dataset_test_split": f"validation[:{pictures}]",
        "eval_strategy": "steps",
        "eval_steps": max(1, steps // 4),
        "eval_on_start": "true",
        "save_strategy": "no",
        "seed": seed,
    }
    if not (folder / "trainer_state.json").exists():
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, str(ROOT / "recipes" / "sft.py"), *flags, *PATHS[path]]
        environment = {**os.environ, "LOCAL_WORLD_SIZE": str(len(os.sched_getaffinity(0)))}  # one thread a run
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    log = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    evaluations = [entry for entry in log if "eval_loss" in entry]
    whole = next(entry["train_runtime"] for entry in log if "train_runtime" in entry)
    seconds = (whole - sum(entry["eval_runtime"] for entry in evaluations)) / steps
    return (
        [entry["step"] * BATCH_SIZE for entry in evaluations],
        [entry["step"] * seconds for entry in evaluations],
        [entry["eval_loss"] for entry in evaluations],
    )


def draw(curves: dict[tuple[str, int], Curve], file: Path) -> None:
    """Both charts side by side, a colour a path, a line a seed."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    colours = {path: f"C{number}" for number, path in enumerate(PATHS)}
    for (path, seed), (seen, seconds, losses) in curves.items():
        style = {"color": colours[path], "marker": "o", "linestyle": "-" if seed == SEEDS[0] else "--"}
        left.plot(seen, losses, label=f"{path}, seed {seed}", **style)
        right.plot(seconds, losses, **style)
    left.set_xlabel("instructions seen")
    right.set_xlabel("seconds of training, one core")
    left.set_ylabel("loss on validation pictures (nats a token)")
    left.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
