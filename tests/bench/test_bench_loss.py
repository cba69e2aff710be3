import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, List, Value
from PIL import Image as Pillow
from transformers import AutoModelForImageTextToText, AutoProcessor

from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import claim
from aesexpert.bench.loss import LossItem, response_loss
from aesexpert.bench.pictures import open_picture, to_rgb
from aesexpert.models.conversations import ChatTemplateError
from bench_helpers import make_identity


FEATURES = Features(
    {
        "image_id": Value("string"),
        "original": Value("string"),
        "image": Image(),
        "instructions": List(
            {
                "prompt": Value("string"),
                "response": Value("string"),
                "kind": ClassLabel(names=["description", "vqa"]),
            }
        ),
    }
)
CARD = """---
configs:
- config_name: instructions
  data_files:
  - split: validation
    path: data/validation.parquet
---
"""
COLOURS = ["red", "green", "blue", "white"]


def instructions(colour: str) -> list[dict[str, str]]:
    return [
        {"prompt": "How do you like it?", "response": f"The {colour} is calm.", "kind": "description"},
        {"prompt": "Is it bright?\nA) Yes\nB) No", "response": "Yes", "kind": "vqa"},
        {"prompt": "Why?", "response": f"Because {colour} — évidemment — fills the frame, evenly.", "kind": "vqa"},
    ]


def write_pictures(folder: Path, originals: dict[str, str]) -> None:
    """One picture a colour, of a height of its own; `originals` says what each was made from."""
    rows = [
        {
            "image_id": colour,
            "original": originals[colour],
            "image": Pillow.new("RGB", (40, 30 + i), colour),
            "instructions": instructions(colour),
        }
        for i, colour in enumerate(COLOURS)
    ]
    Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data" / "validation.parquet")


@pytest.fixture(scope="module")
def aesmmit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "aesmmit"
    (folder / "data").mkdir(parents=True)
    write_pictures(folder, {colour: colour for colour in COLOURS})
    (folder / "README.md").write_text(CARD)
    return folder


def plain_loss(model_folder: Path, colour: str, instruction: dict[str, str]) -> list[float]:
    """The loss of every response token, one instruction at a time with all logits and the processor's own steps."""
    processor = AutoProcessor.from_pretrained(model_folder)
    model = AutoModelForImageTextToText.from_pretrained(model_folder)
    picture = to_rgb(Pillow.new("RGB", (40, 30 + COLOURS.index(colour)), colour))
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": instruction["prompt"]}]}
    assistant = {"role": "assistant", "content": [{"type": "text", "text": instruction["response"]}]}
    prompt = processor.apply_chat_template([user], add_generation_prompt=True)
    whole = processor.apply_chat_template([user, assistant])
    n_prompt = processor(images=picture, text=prompt, return_tensors="pt")["input_ids"].shape[1]
    inputs = processor(images=picture, text=whole, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0].double()
    ids = inputs["input_ids"][0].tolist()
    return [-logits[i - 1].log_softmax(-1)[ids[i]].item() for i in range(n_prompt, len(ids))]


def test_agrees_with_one_instruction_at_a_time(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    result = response_loss(str(tiny_llava), aesmmit, tmp_path / "out", batch_size=5)
    expected: dict[str, list[float]] = {"description": [], "vqa": []}
    for colour in COLOURS:
        for instruction in instructions(colour):
            expected[instruction["kind"]] += plain_loss(tiny_llava, colour, instruction)
    everything = [loss for losses in expected.values() for loss in losses]
    assert result["overall"]["loss"] == pytest.approx(math.fsum(everything) / len(everything), rel=1e-5)
    assert (result["overall"]["tokens"], result["overall"]["instructions"]) == (len(everything), 12)
    for kind, losses in expected.items():
        assert result["kinds"][kind]["loss"] == pytest.approx(math.fsum(losses) / len(losses), rel=1e-5)
        assert result["kinds"][kind]["tokens"] == len(losses)
    assert result == json.loads((tmp_path / "out" / "loss.json").read_text())


@pytest.mark.parametrize("batch_size", [1, 12])
def test_batch_size_does_not_matter(tiny_idefics3: Path, aesmmit: Path, tmp_path: Path, batch_size: int) -> None:
    one = response_loss(str(tiny_idefics3), aesmmit, tmp_path / "one", batch_size=4)
    other = response_loss(str(tiny_idefics3), aesmmit, tmp_path / "other", batch_size=batch_size)
    assert one["overall"]["loss"] == pytest.approx(other["overall"]["loss"], rel=1e-5)


def test_control_shows_other_pictures(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    usual = response_loss(str(tiny_llava), aesmmit, tmp_path / "usual")
    swapped = response_loss(str(tiny_llava), aesmmit, tmp_path / "swapped", control="swapped")
    assert usual["overall"]["tokens"] == swapped["overall"]["tokens"]
    assert usual["overall"]["loss"] != swapped["overall"]["loss"]
    assert swapped["run"]["control"] == "swapped"
    assert swapped["run"]["data_fingerprint"] == usual["run"]["data_fingerprint"]


def test_control_heeds_what_pictures_were_made_from(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    """Two originals with a damaged copy each leave every picture two others to be swapped with."""
    data = Path(shutil.copytree(aesmmit, tmp_path / "aesmmit"))
    write_pictures(data, {"red": "red", "green": "red", "blue": "blue", "white": "blue"})
    shown: dict[str, str] = {}

    def losses(model: object, items: list[LossItem], batch_size: int) -> list[tuple[float, int]]:
        for number, item in enumerate(items):
            shown[COLOURS[number // 3]] = item.shown.image_id
            assert open_picture(item.shown.content, "").height == 30 + COLOURS.index(item.shown.image_id)
        return [(1.0, 1)] * len(items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aesexpert.bench.loss._losses", losses)
        response_loss(str(tiny_llava), data, tmp_path / "out", control="swapped")
    assert {shown[colour] for colour in ("red", "green")} == {"blue", "white"}


def test_newer_data_of_the_same_name_is_seen(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    """The cache of `load_dataset` goes by names."""
    data = Path(shutil.copytree(aesmmit, tmp_path / "aesmmit"))
    first = response_loss(str(tiny_llava), data, tmp_path / "first")["overall"]
    picture = Pillow.new("RGB", (9, 9))
    rows = [{"image_id": "red", "original": "red", "image": picture, "instructions": instructions("red")[:1]}]
    Dataset.from_list(rows, features=FEATURES).to_parquet(data / "data" / "validation.parquet")
    second = response_loss(str(tiny_llava), data, tmp_path / "second")["overall"]
    assert (first["instructions"], second["instructions"]) == (12, 1)


def test_limit_draws_the_same_instructions_again(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    first, second = (
        response_loss(str(tiny_llava), aesmmit, tmp_path / name, limit=1)["overall"] for name in ("first", "second")
    )
    assert first == second
    assert first["instructions"] == len(COLOURS)


def test_recorded_loss_is_not_measured_again(
    tiny_llava: Path, aesmmit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = response_loss(str(tiny_llava), aesmmit, tmp_path / "out")
    monkeypatch.delattr("aesexpert.bench.loss.load_model")
    assert response_loss(str(tiny_llava), aesmmit, tmp_path / "out") == first
    with pytest.raises(BenchError, match=r"loss\.json belongs to another run \(.*limit: None, now 1\)"):
        response_loss(str(tiny_llava), aesmmit, tmp_path / "out", limit=1)


def test_folder_of_another_model_is_refused(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    claim(tmp_path / "out", make_identity(), [])
    with pytest.raises(BenchError, match=r"run\.json belongs to another run \(model: 'models/painter'"):
        response_loss(str(tiny_llava), aesmmit, tmp_path / "out")


def test_data_that_does_not_fit_is_named(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="has no split 'training', expected one of validation"):
        response_loss(str(tiny_llava), aesmmit, tmp_path / "out", split="training")
    with pytest.raises(BenchError, match="nowhere is neither a data set's folder nor the id of a Hub repository"):
        response_loss(str(tiny_llava), tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(BenchError, match="is no data set with a configuration 'instructions'"):
        response_loss(str(tiny_llava), aesmmit / "data", tmp_path / "out")
    with pytest.raises(BenchError, match="`control` is 'blurred'"):
        response_loss(str(tiny_llava), aesmmit, tmp_path / "out", control="blurred")


def test_template_that_rewrites_prompts_is_refused(tiny_llava: Path, aesmmit: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_llava, tmp_path / "odd"))
    (folder / "chat_template.jinja").write_text(
        "{{ messages | length }}<image>{{ messages[-1]['content'][-1]['text'] }}"
    )
    with pytest.raises(ChatTemplateError, match="does not write a prompt and its response"):
        response_loss(str(folder), aesmmit, tmp_path / "out")
