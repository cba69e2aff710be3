"""A tiny data set and a tiny model, made once a session, and a recipe for them."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from trl import ModelConfig

from aesexpert.data import read_source
from aesexpert.data.parquet import write_dataset
from aesexpert.train import AesExpertSFTConfig, DataArguments
from tiny_data import write_tiny_source
from tiny_models import build_tiny_llava


@pytest.fixture(scope="session")
def aesmmit(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    folder = tmp_path_factory.mktemp("aesmmit")
    source = read_source(write_tiny_source(folder / "source"))
    write_dataset(source, folder / "aesmmit", root / "model_cards" / "dataset_card.md")
    return folder / "aesmmit"


@pytest.fixture(scope="session")
def pictures(aesmmit: Path) -> Dataset:
    return load_dataset(str(aesmmit), split="train")


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_llava(tmp_path_factory.mktemp("start") / "tiny-start")


@pytest.fixture
def recipe(aesmmit: Path, start: Path, tmp_path: Path):
    """Makes the three groups of arguments of a short run; keywords override the training's."""

    def make(model: dict[str, Any] | None = None, data: dict[str, Any] | None = None, **training: Any):
        defaults = {
            "output_dir": str(tmp_path / "out"),
            "max_steps": 4,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-3,
            "activation_checkpointing": False,
            "eval_strategy": "no",
            "save_strategy": "no",
            "logging_steps": 1,
            "bf16": False,
            "disable_tqdm": True,
        }
        return (
            DataArguments(dataset_name=str(aesmmit), **(data or {})),
            AesExpertSFTConfig(**{**defaults, **training}),
            ModelConfig(model_name_or_path=str(start), **(model or {})),
        )

    return make
