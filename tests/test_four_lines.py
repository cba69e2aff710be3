"""The lines that users type, as they stand: in a folder with tiny things of those names, and after `make demo`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aesexpert.data import read_source
from aesexpert.data.parquet import write_dataset
from tiny_data import write_tiny_source
from tiny_models import build_tiny_llava


ROOT = Path(__file__).parents[1]
LINES = """
from datasets import load_dataset

assert set(load_dataset("aesmmit")) == {{"train", "validation", "test"}}
assert "feedbacks" in load_dataset("aesmmit", "feedback")["train"].column_names
assert "questions" in load_dataset("aesmmit", "vqa")["train"].column_names

from transformers import AutoModel

assert type(AutoModel.from_pretrained("{model}")).__name__ == "LlavaModel"

import evaluate

aesbench = evaluate.load("aesbench")
choice = {{"answer": "High", "options": ["High", "Low"], "dimension": "", "question_type": "how"}}
scores = aesbench.compute(
    predictions=[
        {{
            "perception": "A",
            "empathy": "B",
            "assessment": "High",
            "interpretation": {{"relevance": 2.0, "precision": 1.0, "completeness": 1.0}},
        }}
    ],
    references=[{{"perception": choice, "empathy": choice, "assessment": choice, "source": "NI"}}],
)
assert scores["perception"] == 1.0 and scores["empathy"] == 0.0 and scores["assessment"] == 1.0
assert abs(scores["overall"] - (1 + 0 + 1 + 4 / 3) / 4) < 1e-12

import sys

assert "aesexpert" not in sys.modules
"""


def run(folder: Path, model: str, *command: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    command = command or (sys.executable, "-c", LINES.format(model=model))
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_in_a_folder_with_tiny_things(tmp_path):
    write_dataset(
        read_source(write_tiny_source(tmp_path / "source")),
        tmp_path / "aesmmit",
        ROOT / "model_cards" / "dataset_card.md",
    )
    build_tiny_llava(tmp_path / "aesexpert-13b")
    shutil.copytree(ROOT / "src" / "aesexpert" / "metrics" / "aesbench", tmp_path / "aesbench")
    (tmp_path / "aesbench" / "__init__.py").unlink()
    run(tmp_path, "aesexpert-13b")
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copytree(tmp_path / "aesexpert-13b", tmp_path / "aesexpert-start")
    launch = (sys.executable, "-m", "accelerate.commands.launch", "recipes/sft.py")
    assert "trained aesexpert-demo: loss" in run(tmp_path, "", *launch)


@pytest.mark.slow
def test_in_the_root_after_the_demo():
    run(ROOT, "aesexpert-demo")
