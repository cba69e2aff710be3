"""Both checkpoint formats, loaded as users load them."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, CLIPConfig, CLIPModel

from aesexpert.models import AesExpertForConditionalGeneration, save_checkpoint
from tiny_models import build_tiny_llava


STRANGER = """
import sys
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor
options = {{"trust_remote_code": True}} if {remote_code} else {{}}
model = AutoModelForImageTextToText.from_pretrained({folder!r}, **options)
assert type(model).__name__ == {model_class!r}, type(model)
assert type(AutoModel.from_pretrained({folder!r}, **options)).__name__ == {base_class!r}
assert type(AutoProcessor.from_pretrained({folder!r}, **options)).__name__ == {processor_class!r}
assert "aesexpert" not in sys.modules
print(float(sum(p.double().abs().sum() for p in model.state_dict().values())))
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    start = build_tiny_llava(folder / "start")
    model = AutoModelForImageTextToText.from_pretrained(start)
    processor = AutoProcessor.from_pretrained(start)
    for checkpoint_format in ("llava", "aesexpert"):
        save_checkpoint(model, processor, folder / checkpoint_format, checkpoint_format)
    return folder


def weight_sum(model: torch.nn.Module) -> float:
    return float(sum(p.double().abs().sum() for p in model.state_dict().values()))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("llava", ("LlavaForConditionalGeneration", "LlavaModel", "LlavaProcessor")),
        ("aesexpert", ("AesExpertForConditionalGeneration", "AesExpertModel", "AesExpertProcessor")),
    ],
)
def test_a_stranger_without_the_package_loads_it(checkpoints, tmp_path, name, classes):
    model_class, base_class, processor_class = classes
    code = STRANGER.format(
        folder=str(checkpoints / name),
        remote_code=name == "aesexpert",
        model_class=model_class,
        base_class=base_class,
        processor_class=processor_class,
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr[-2000:]
    expected = weight_sum(AutoModelForImageTextToText.from_pretrained(checkpoints / "start"))
    assert float(result.stdout) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["llava", "aesexpert"])
def test_the_class_of_the_library_loads_both(checkpoints, name):
    model = AesExpertForConditionalGeneration.from_pretrained(checkpoints / name)
    start = AutoModelForImageTextToText.from_pretrained(checkpoints / "start")
    for key, value in start.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_a_model_of_the_library_becomes_stock_again(checkpoints, tmp_path):
    model = AesExpertForConditionalGeneration.from_pretrained(checkpoints / "aesexpert")
    processor = AutoProcessor.from_pretrained(checkpoints / "aesexpert")
    save_checkpoint(model, processor, tmp_path / "again")
    first, again = checkpoints / "llava", tmp_path / "again"
    assert sorted(p.name for p in again.iterdir()) == sorted(p.name for p in first.iterdir())
    for file in ("model.safetensors", "config.json", "processor_config.json", "chat_template.jinja"):
        assert (again / file).read_bytes() == (first / file).read_bytes(), file


@pytest.mark.parametrize("name", ["llava", "aesexpert"])
def test_no_local_path_is_written(checkpoints, name):
    for file in (checkpoints / name).glob("*.json"):
        assert str(checkpoints) not in file.read_text(), file


def test_bare_names_are_folders_of_that_name(checkpoints, monkeypatch, tmp_path):
    (tmp_path / "aesexpert-13b").symlink_to(checkpoints / "llava")
    monkeypatch.chdir(tmp_path)
    assert type(AutoModel.from_pretrained("aesexpert-13b")).__name__ == "LlavaModel"


def test_another_architecture_is_refused(tmp_path):
    model = CLIPModel(CLIPConfig(text_config={"num_hidden_layers": 1}, vision_config={"num_hidden_layers": 1}))
    with pytest.raises(ValueError, match=r"expected a model of the LLaVA design, got CLIPModel"):
        save_checkpoint(model, None, tmp_path)


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'onnx' is not a valid CheckpointFormat"):
        save_checkpoint(None, None, tmp_path, "onnx")
