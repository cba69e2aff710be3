"""The runner on both formats of one AesExpert checkpoint."""

from pathlib import Path

from transformers import AutoModelForImageTextToText, AutoProcessor

from aesexpert.bench import run
from aesexpert.models import save_checkpoint
from tiny_data import read_json_lines


def test_the_registered_type_answers_as_the_stock_one(tiny_llava: Path, tiny_source: Path, tmp_path: Path):
    model = AutoModelForImageTextToText.from_pretrained(tiny_llava)
    save_checkpoint(model, AutoProcessor.from_pretrained(tiny_llava), tmp_path / "registered", "aesexpert")
    answers = []
    for model_id in (tiny_llava, tmp_path / "registered"):
        folder = run(str(model_id), tiny_source, tmp_path / f"run-{model_id.name}")
        answers.append(read_json_lines(folder / "answers.jsonl"))
    assert answers[0] == answers[1]
    assert len(answers[0]) == 16
