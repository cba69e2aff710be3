"""How much faster the data path feeds pictures than the trainer consumes them: `python benchmarks/data_path.py`.

Reads the demo's recipe (after `make demo`): the same model, the same rows, the same collator, one process and no data
loader workers. Prints rows a second of both and their ratio.
"""

import argparse
import time
from pathlib import Path

from trl import ModelConfig, TrlParser

from aesexpert.train import AesExpertSFTConfig, AesExpertTrainer, DataArguments, build_trainer


RECIPE = Path(__file__).parents[1] / "recipes" / "demo.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=6, help="batches to time (default: %(default)s)")
    args = parser.parse_args()
    recipe = ["--config", str(RECIPE), "--output_dir", "build/benchmark", "--save_strategy", "no"]
    arguments = TrlParser((DataArguments, AesExpertSFTConfig, ModelConfig)).parse_args_and_config(recipe)
    trainer = build_trainer(*arguments)
    fed = feeding_rate(trainer, args.batches)
    consumed = training_rate(trainer, args.batches)
    print(f"fed {fed:.1f} rows/s, consumed {consumed:.2f} rows/s: the data path is {fed / consumed:.0f} times as fast")


def feeding_rate(trainer: AesExpertTrainer, batches: int) -> float:
    """Rows a second that the data loader gives: pictures decoded and resized, texts tokenised."""
    loader = iter(trainer.get_train_dataloader())
    next(loader)
    start = time.perf_counter()
    rows = sum(int(next(loader)["segment_ids"].max(dim=1).values.sum()) for _ in range(batches))
    return rows / (time.perf_counter() - start)


def training_rate(trainer: AesExpertTrainer, batches: int) -> float:
    """Rows a second that training takes, data path included."""
    trainer.args.max_steps = batches
    metrics = trainer.train().metrics
    return float(metrics["train_samples_per_second"])


if __name__ == "__main__":
    main()
