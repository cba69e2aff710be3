"""What one process publishes, another loads that has never heard of the package."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import DatasetCard, ModelCard
from transformers import AutoModelForImageTextToText, AutoProcessor

from aesexpert.data import dataset_statistics
from aesexpert.models import save_checkpoint
from hub import Hub


Client = Callable[..., subprocess.CompletedProcess[str]]

LOGITS = """
import json
import numpy as np
import torch
from PIL import Image

def logits(model, processor):
    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How calm?"}]}],
        add_generation_prompt=True,
    )
    picture = Image.fromarray(np.arange(28 * 28 * 3, dtype=np.uint8).reshape(28, 28, 3))
    inputs = processor(images=picture, text=text, return_tensors="pt")
    with torch.no_grad():
        return model.eval()(**inputs).logits[0].tolist()
"""

STRANGER = (
    LOGITS
    + """
from datasets import Image as ImageFeature, load_dataset
import hashlib

pictures = {}
for config, column in (("instructions", "instructions"), ("feedback", "feedbacks"), ("vqa", "questions")):
    data = load_dataset("acme/aesmmit") if config == "instructions" else load_dataset("acme/aesmmit", config)
    assert set(data) == {"train", "validation", "test"}
    assert data["train"].column_names[-1] == column and data["train"][0][column]
    for split in data.values():
        for row in split.cast_column("image", ImageFeature(decode=False)):
            pictures.setdefault(row["image_id"], set()).add(hashlib.sha256(row["image"]["bytes"]).hexdigest())
streamed = load_dataset("acme/aesmmit", "vqa", split="train", streaming=True)
assert next(iter(streamed))["image"].size == (64, 64)
pictures = {name: digests.pop() for name, digests in pictures.items() if len(digests) == 1}

from huggingface_hub import DatasetCard, ModelCard

DatasetCard.load("acme/aesmmit").validate()
for name in ("aesexpert-demo", "registered", "adapter", "merged"):
    ModelCard.load(f"acme/{name}").validate()

import evaluate

metric = evaluate.load("acme/aesbench", "assessment")
reference = {"answer": "High", "options": ["High", "Low"], "dimension": "", "question_type": "", "source": "NI"}
score = metric.compute(predictions=["A) High"], references=[reference])["assessment"]

from peft import PeftModel
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

assert type(AutoModel.from_pretrained("acme/aesexpert-demo")).__name__ == "LlavaModel"
processor = AutoProcessor.from_pretrained("acme/aesexpert-demo")
stock = AutoModelForImageTextToText.from_pretrained("acme/aesexpert-demo")
found = {"stock": logits(stock, processor)}
registered = AutoModelForImageTextToText.from_pretrained("acme/registered", trust_remote_code=True)
assert type(registered).__name__ == "AesExpertForConditionalGeneration"
assert type(AutoModel.from_pretrained("acme/registered", trust_remote_code=True)).__name__ == "AesExpertModel"
code = AutoProcessor.from_pretrained("acme/registered", trust_remote_code=True)
assert type(code).__name__ == "AesExpertProcessor"
found["registered"] = logits(registered, code)
adapted = PeftModel.from_pretrained(stock, "acme/adapter")
found["adapter"] = logits(adapted, AutoProcessor.from_pretrained("acme/adapter"))
merged = AutoModelForImageTextToText.from_pretrained("acme/merged")
found["merged"] = logits(merged, AutoProcessor.from_pretrained("acme/merged"))

pipe = pipeline("image-text-to-text", model="acme/aesexpert-demo")
picture = {"type": "image", "image": Image.new("RGB", (64, 64), "teal")}
messages = [{"role": "user", "content": [picture, {"type": "text", "text": "How calm?"}]}]
answer = pipe(text=messages, max_new_tokens=3, return_full_text=False)[0]["generated_text"]
json.dump({"pictures": pictures, "score": score, "logits": found, "answer": answer}, open("found.json", "w"))
"""
)

BY_BARE_NAME = """
import json
from datasets import load_dataset
import evaluate
from transformers import AutoModel

rows = {split: data.num_rows for split, data in load_dataset("aesmmit").items()}
assert "feedbacks" in load_dataset("aesmmit", "feedback")["train"].column_names
assert "questions" in load_dataset("aesmmit", "vqa")["train"].column_names
assert type(AutoModel.from_pretrained("aesexpert-demo")).__name__ == "LlavaModel"
assert evaluate.load("aesbench").module_type == "metric"
assert 'with_name("aesbench.py")' in open("aesbench/app.py").read()
assert evaluate.load("./aesbench/aesbench.py", "assessment").module_type == "metric"
print(json.dumps(rows))
"""

PUBLISHED = (
    ("datasets", "acme/aesmmit"),
    ("models", "acme/aesexpert-demo"),
    ("models", "acme/registered"),
    ("models", "acme/adapter"),
    ("models", "acme/merged"),
    ("spaces", "acme/aesbench"),
)
"""What `published` pushes. Other tests leave repositories of their own on the same Hub."""


@pytest.fixture(scope="module")
def registered(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registered") / "registered"
    model = AutoModelForImageTextToText.from_pretrained(tiny_model)
    save_checkpoint(model, AutoProcessor.from_pretrained(tiny_model), folder, "aesexpert")
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with a projector of its own, whose base is noted as a folder of this machine."""
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    torch.manual_seed(1)
    settings = LoraConfig(
        r=2,
        target_modules=".*language_model.*(q_proj|v_proj)",
        modules_to_save=["multi_modal_projector"],
        init_lora_weights=False,
    )
    model = get_peft_model(AutoModelForImageTextToText.from_pretrained(tiny_model), settings)
    with torch.no_grad():
        model.base_model.model.model.multi_modal_projector.modules_to_save["default"].linear_1.weight += 0.5
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def published(
    server: Hub,
    environment: Callable[..., dict[str, str]],
    aesmmit: Path,
    tiny_model: Path,
    registered: Path,
    adapter: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Hub:
    """Everything pushed by one process, as six commands."""
    card = ["--license", "other", "--data-source", "acme/aesmmit"]
    base = ["--base-model", "acme/aesexpert-demo"]
    commands = [
        ["push", "dataset", aesmmit, "acme/aesmmit", "--license", "other", "--data-source", "AADB, photographs"],
        ["push", "model", tiny_model, "acme/aesexpert-demo", *card],
        ["push", "model", registered, "acme/registered", *card],
        ["push", "model", adapter, "acme/adapter", *card, *base],
        ["push", "model", adapter, "acme/merged", *card, *base, "--merge"],
        ["push", "metric", "acme/aesbench", "--tag", "v1"],
    ]
    lines = json.dumps([list(map(str, line)) for line in commands])
    script = f"from aesexpert.cli import main\nfor line in {lines}: main(line)"
    line = [sys.executable, "-c", script]
    cwd = tmp_path_factory.mktemp("pusher")
    result = subprocess.run(line, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr[-3000:]
    return server


@pytest.fixture(scope="module")
def found(published: Hub, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a stranger with a read token got."""
    folder = tmp_path_factory.mktemp("stranger")
    client(STRANGER, cwd=folder, token="hf_alice_read")
    return json.loads((folder / "found.json").read_text())


def local_logits(model: torch.nn.Module, folder: Path) -> list:
    space: dict = {}
    exec(LOGITS, space)
    return space["logits"](model, AutoProcessor.from_pretrained(folder))


def contents(server: Hub, kind: str, repo_id: str) -> dict[str, bytes]:
    """The files of a repository's newest revision, as they lie on the Hub."""
    folder = server.root / kind / repo_id
    commit = json.loads((folder / "repo.json").read_text())["refs"]["refs/heads/main"]
    files = json.loads((folder / "commits" / f"{commit}.json").read_text())["files"]
    return {path: server.blob_path(file["sha256"]).read_bytes() for path, file in files.items()}


def test_pictures_arrive_byte_for_byte_and_once(found: dict, published: Hub, aesmmit: Path, tmp_path: Path):
    source = aesmmit.parent / "source" / "images"
    expected = {file.stem: sha256(file.read_bytes()).hexdigest() for file in source.iterdir()}
    assert found["pictures"] == expected
    names = []
    for path, content in contents(published, "datasets", "acme/aesmmit").items():
        if path.endswith(".parquet"):
            (tmp_path / "shard.parquet").write_bytes(content)
            names += pq.read_table(tmp_path / "shard.parquet", columns=["image_id"])["image_id"].to_pylist()
    assert sorted(names) == sorted(expected)


def test_models_give_the_same_logits(found: dict, tiny_model: Path, adapter: Path):
    from peft import PeftModel

    stock = AutoModelForImageTextToText.from_pretrained(tiny_model)
    expected = local_logits(stock, tiny_model)
    assert found["logits"]["registered"] == found["logits"]["stock"]
    # the two processes use different numbers of threads, and sums depend on it
    assert np.allclose(found["logits"]["stock"], expected, atol=1e-5)
    adapted = local_logits(PeftModel.from_pretrained(stock, adapter), tiny_model)
    assert np.allclose(found["logits"]["adapter"], adapted, atol=1e-5)
    assert not np.allclose(adapted, expected, atol=1e-3)
    assert np.allclose(found["logits"]["merged"], adapted, atol=1e-4)


def test_metric_and_pipeline(found: dict):
    assert found["score"] == 1.0
    assert isinstance(found["answer"], str)


def test_pulled_things_go_by_their_bare_names_without_network(
    published: Hub, command: Client, client: Client, tmp_path: Path
):
    for name in ("aesmmit", "aesexpert-demo", "aesbench"):
        result = command("pull", f"acme/{name}", cwd=tmp_path, token="hf_alice_read")
        assert result.returncode == 0, result.stderr
    printed = client(BY_BARE_NAME, cwd=tmp_path, HF_HUB_OFFLINE="1").stdout
    assert json.loads(printed.splitlines()[-1]) == {"train": 7, "validation": 1, "test": 4}


def test_card_of_the_data_set_counts_what_was_pushed(published: Hub, tmp_path: Path):
    files = contents(published, "datasets", "acme/aesmmit")
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    statistics = dataset_statistics(tmp_path)
    card = DatasetCard.load(tmp_path / "README.md")
    assert card.data.license == "other"
    assert f"{statistics.pictures} pictures with\n{sum(statistics.kinds.values())} instructions" in card.text
    assert statistics.to_markdown() in card.text
    assert "- AADB, photographs" in card.text
    assert [config["config_name"] for config in card.data.to_dict()["configs"]] == ["instructions", "feedback", "vqa"]


def test_cards_of_the_models_say_what_they_are(published: Hub):
    cards = {
        name: ModelCard(contents(published, "models", f"acme/{name}")["README.md"].decode())
        for name in ("aesexpert-demo", "registered", "adapter", "merged")
    }
    for card in cards.values():
        assert card.data.pipeline_tag == "image-text-to-text"
        assert card.data.datasets == ["acme/aesmmit"]
    assert cards["adapter"].data.library_name == "peft"
    assert cards["adapter"].data.base_model == ["acme/aesexpert-demo"]
    assert cards["merged"].data.library_name == "transformers"
    assert "trust_remote_code=True" in cards["registered"].text
    assert "trust_remote_code" not in cards["aesexpert-demo"].text


def test_adapter_names_its_base_on_the_hub(published: Hub):
    files = contents(published, "models", "acme/adapter")
    assert "model.safetensors" not in files
    config = json.loads(files["adapter_config.json"])
    assert config["base_model_name_or_path"] == "acme/aesexpert-demo"


def test_nothing_published_names_a_folder_of_this_machine(published: Hub, tiny_model: Path):
    places = [str(tiny_model.parents[1]).encode(), str(Path.home()).encode() + b"/", str(Path.cwd()).encode()]
    for kind, repo_id in PUBLISHED:
        files = contents(published, kind, repo_id)
        assert len(files) > 2
        for path, content in files.items():
            assert not any(place in content for place in places), f"{repo_id}: {path}"
