import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from transformers import GenerationConfig

from aesexpert.bench.answering import write_answers
from aesexpert.bench.errors import BenchError
from aesexpert.bench.model import VisionLanguageModel, check_files, load_model, model_fingerprint
from aesexpert.bench.sharing import PlainPrompts
from aesexpert.models.conversations import ask_about
from tiny_models import build_tiny_llava


@pytest.fixture
def copied(tiny_llava: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_llava, tmp_path / "copied"))


def answer(model: VisionLanguageModel, prompts: Sequence[str], pictures: Sequence[Image.Image]) -> list[str]:
    questions = [[ask_about(picture, prompt)] for picture, prompt in zip(pictures, prompts, strict=True)]
    inputs = PlainPrompts(model, questions).inputs(range(len(questions)))
    return [written.response for written in write_answers(model, inputs, 8, one_line=False)]


def test_any_architecture_answers(tiny_llava: Path, tiny_idefics3: Path) -> None:
    pictures = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    for folder in (tiny_llava, tiny_idefics3):
        model = load_model(str(folder))
        answers = answer(model, ["What is it?", "How lovely is the light here, tell me?"], pictures)
        assert len(answers) == 2
        assert all(text == text.strip() and "<" not in text for text in answers)
        assert answer(model, ["What is it?"], pictures[1:]) != answers[:1]


def test_answer_ends_where_the_model_ends_it(tiny_llava: Path) -> None:
    model = load_model(str(tiny_llava))
    assert model.model.generation_config.eos_token_id == model.processor.tokenizer.eos_token_id


def test_own_generation_settings_do_not_count(tiny_llava: Path, copied: Path) -> None:
    GenerationConfig(do_sample=True, temperature=5.0, repetition_penalty=3.0, eos_token_id=2).save_pretrained(copied)
    picture = Image.new("RGB", (40, 30), "red")
    answers = {tuple(answer(load_model(str(folder)), ["What?"], [picture])) for folder in (tiny_llava, copied)}
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("removed", "named"),
    [
        (["config.json"], r"config\.json"),
        (["processor_config.json"], r"processor_config\.json"),
        (["tokenizer.json", "tokenizer_config.json"], r"tokenizer\.json"),
    ],
)
def test_missing_file_is_named(copied: Path, removed: list[str], named: str) -> None:
    for name in removed:
        (copied / name).unlink()
    with pytest.raises(BenchError, match=f"copied has no {named}"):
        load_model(str(copied))


def test_missing_weights_are_named(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(BenchError, match=r"copied cannot be loaded .*model\.safetensors"):
        load_model(str(copied))


def test_missing_chat_template_is_named(copied: Path) -> None:
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(BenchError, match=r"LlavaProcessor of .*copied has no chat template"):
        load_model(str(copied))


def test_text_model_is_refused(copied: Path) -> None:
    (copied / "config.json").write_text('{"model_type": "llama", "vocab_size": 400, "hidden_size": 32}')
    with pytest.raises(BenchError, match="copied cannot be loaded as an image-text-to-text model"):
        load_model(str(copied))


@pytest.mark.parametrize("model_id", ["./nowhere", "/nowhere/at/all", "aesexpert-13b"])
def test_neither_folder_nor_hub_id(model_id: str) -> None:
    with pytest.raises(BenchError, match=f"{model_id} is neither a model folder nor the id of a Hub repository"):
        check_files(model_id)


def test_hub_id_is_told_by_its_commit(tiny_llava: Path, tmp_path: Path) -> None:
    """A repository in the Hub's local cache, in a process that is offline."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--OWNER--tiny"
    shutil.copytree(tiny_llava, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    code = "\n".join(
        [
            "from aesexpert.bench.model import load_model, model_fingerprint",
            "load_model('OWNER/tiny')",
            "print(model_fingerprint('OWNER/tiny'))",
            "load_model('OWNER/other')",
        ]
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == commit, result.stderr
    assert "BenchError: OWNER/other cannot be loaded" in result.stderr


def test_fingerprint_sees_weights_and_settings(tiny_llava: Path, copied: Path, tmp_path: Path) -> None:
    first = model_fingerprint(str(copied))
    assert first == model_fingerprint(str(tiny_llava))
    (copied / "README.md").write_text("about")
    assert first == model_fingerprint(str(copied))
    other = model_fingerprint(str(build_tiny_llava(tmp_path / "other", seed=1)))
    template = copied / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert len({first, other, model_fingerprint(str(copied))}) == 3
