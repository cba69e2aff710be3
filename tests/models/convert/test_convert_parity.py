"""Converted checkpoints against what their authors' own code gave, loaded as users load them."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForImageTextToText

import aesexpert.models  # noqa: F401  (registers the classes)
from aesexpert.models.convert.llava import prepare_llava
from aesexpert.models.convert.owl2 import prepare_owl2
from aesexpert.models.convert.source import read_source
from parity import (
    CASES,
    CLASSES,
    FIXTURES,
    as_pickle,
    as_shards,
    convert,
    loss_over_classes,
    pictures,
    spliced,
    with_tokenizer,
)


KINDS = [
    "owl2",
    "owl2-bin",
    "owl2-shards",
    "llava",
    "llava-bin-shards",
    "llava-registered",
    "embedded",
    "embedded-bin",
]


@pytest.fixture(scope="module", params=KINDS)
def converted(request, tmp_path_factory):
    """A case, its model, and the recorded inputs and outputs."""
    name, *kinds = request.param.split("-")
    case = CASES[name]
    folder = tmp_path_factory.mktemp(request.param)
    source, arguments = case.checkpoint, case.arguments()
    if "bin" in kinds:
        source = as_pickle(source, folder / "source", shards=3 if "shards" in kinds else 1)
        arguments.append("--allow-pickle")
    elif "shards" in kinds:
        source = as_shards(source, folder / "source", shards=4)
    if "registered" in kinds:
        arguments += ["--format", "aesexpert"]
    model = AutoModelForImageTextToText.from_pretrained(convert(source, folder / "out", *arguments))
    return case, model.eval(), *case.recorded()


@torch.no_grad()
def test_picture_features(converted):
    _, model, inputs, outputs = converted
    features = torch.stack(list(model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output))
    torch.testing.assert_close(features, outputs["image_features"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_logits_loss_and_greedy_tokens_of_each_prompt(converted):
    case, model, inputs, outputs = converted
    for name, recorded in outputs["singles"].items():
        prompt = inputs["singles"][name]
        batch = spliced(prompt, model.config.image_token_id, case.vectors)
        images = pictures(inputs, prompt["image_index"])
        logits = model(**{key: batch[key] for key in ("input_ids", "attention_mask")}, **images).logits
        torch.testing.assert_close(logits[..., :CLASSES], recorded["logits"], rtol=0, atol=5e-5, msg=name)
        torch.testing.assert_close(
            loss_over_classes(logits, batch["labels"]), recorded["loss"], rtol=0, atol=1e-5, msg=name
        )
        generated = model.generate(
            batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=recorded["generated"].shape[1],
            eos_token_id=None,
            **images,
        )
        assert generated[:, batch["input_ids"].shape[1] :].tolist() == recorded["generated"].tolist(), name


def recorded_rows(prompts, outputs):
    """The rows of a batch whose prompts were recorded on their own."""
    return [(row, name) for row, name in enumerate(prompts["order"]) if name in outputs["singles"]]


@torch.no_grad()
@pytest.mark.parametrize("pad_left", [False, True])
def test_a_padded_batch(converted, pad_left):
    case, model, inputs, outputs = converted
    prompts = inputs["batch_right"]
    batch = spliced(prompts, model.config.image_token_id, case.vectors, pad_left)
    images = pictures(inputs, prompts["image_index"])
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **images).logits
    for row, name in recorded_rows(prompts, outputs):
        valid = logits[row, batch["attention_mask"][row].bool(), :CLASSES]
        torch.testing.assert_close(valid, outputs["singles"][name]["logits"][0], rtol=0, atol=5e-5, msg=name)
    loss = loss_over_classes(logits, batch["labels"])
    torch.testing.assert_close(loss, outputs["batch_right"]["loss"], rtol=0, atol=1e-5)


@torch.no_grad()
def test_generation_in_a_batch_of_unequal_prompts_is_that_of_each_alone(converted):
    case, model, inputs, outputs = converted
    prompts = inputs["batch_left_generate"]
    batch = spliced(prompts, model.config.image_token_id, case.vectors, pad_left=True)
    generated = model.generate(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        max_new_tokens=12,
        eos_token_id=None,
        pad_token_id=0,
        **pictures(inputs, prompts["image_index"]),
    )
    for row, name in recorded_rows(prompts, outputs):
        tokens = generated[row, batch["input_ids"].shape[1] :].tolist()
        assert tokens == outputs["singles"][name]["generated"][0].tolist(), name


def test_the_model_computes_the_loss_of_owl2_itself(converted):
    case, model, inputs, outputs = converted
    if case.name != "owl2":
        pytest.skip("a stock Llava has the rows that were added in its loss")
    prompts = inputs["batch_right"]
    batch = spliced(prompts, model.config.image_token_id, case.vectors)
    loss = model(**batch, **pictures(inputs, prompts["image_index"])).loss
    torch.testing.assert_close(loss, outputs["batch_right"]["loss"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", ["owl2", "llava"])
def test_gradients_with_the_vision_tower_frozen(name, checkpointing, tmp_path):
    case = CASES[name]
    model = AutoModelForImageTextToText.from_pretrained(convert(case.checkpoint, tmp_path / "out", *case.arguments()))
    source = read_source(case.checkpoint, allow_pickle=False)
    prepared = prepare_owl2(source) if name == "owl2" else prepare_llava(source, FIXTURES / case.tower, False)
    model_names = {saved: own for own, saved in prepared.saved_names.items()}
    model.get_encoder(modality="image").requires_grad_(False)
    if checkpointing:
        model.train().activation_checkpointing_enable()
    inputs, outputs = case.recorded()
    for kind, recorded in outputs["grads"].items():
        if "all_trainable" in kind:
            continue
        prompt = inputs["batch_right"] if kind == "batch_right" else inputs["singles"][kind]
        batch = spliced(prompt, model.config.image_token_id, case.vectors)
        labels = batch.pop("labels")
        model.zero_grad()
        loss_over_classes(model(**batch, **pictures(inputs, prompt["image_index"])).logits, labels).backward()
        rename = prepared.sources[-1][1]
        for original, norm in recorded["norm"].items():
            (new_name,) = rename(original)
            gradient = model.get_parameter(model_names[new_name]).grad
            if gradient.dim() == 2:
                gradient = gradient[:CLASSES] if gradient.shape[0] > CLASSES else gradient
            flat = gradient.double().flatten()
            k = torch.arange(len(flat), dtype=torch.float64)
            assert flat.norm().item() == pytest.approx(norm, rel=1e-5, abs=1e-6), (kind, original)
            probe = (flat * torch.cos(0.7 * k + 0.3)).sum().item()
            assert probe == pytest.approx(recorded["probe"][original], abs=2e-5 * norm + 1e-6), (kind, original)
        for original in recorded["no_grad"]:
            for new_name in rename(original):
                assert model.get_parameter(model_names[new_name]).grad is None, (kind, original)


STRANGER = """
import sys, torch
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor
folder, image_token_id, pixels, ids, out = sys.argv[1], *sys.argv[2:]
options = {"trust_remote_code": True}
model = AutoModelForImageTextToText.from_pretrained(folder, **options)
assert AutoConfig.from_pretrained(folder, **options).model_type == "aesexpert_owl2"
assert type(AutoModel.from_pretrained(folder, **options)).__name__ == "AesExpertOwl2Model"
processor = AutoProcessor.from_pretrained(folder, **options)
assert type(processor).__name__ == "AesExpertOwl2Processor"
assert "aesexpert" not in sys.modules
with torch.no_grad():
    logits = model(input_ids=torch.load(ids), pixel_values=torch.load(pixels)).logits
torch.save(logits, out)
model.save_pretrained(folder + "-again")
processor.save_pretrained(folder + "-again")
"""


def test_a_stranger_without_the_package_loads_owl2(tmp_path):
    case = CASES["owl2"]
    out = convert(with_tokenizer(case.checkpoint, tmp_path / "source"), tmp_path / "out")
    inputs, outputs = case.recorded()
    prompt = inputs["singles"]["image_middle"]
    torch.save(spliced(prompt, CLASSES, case.vectors)["input_ids"], tmp_path / "ids.pt")
    torch.save(pictures(inputs, prompt["image_index"])["pixel_values"], tmp_path / "pixels.pt")
    files = [str(tmp_path / name) for name in ("pixels.pt", "ids.pt", "logits.pt")]
    environment = {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path / "modules"), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", STRANGER, str(out), str(CLASSES), *files],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    logits = torch.load(tmp_path / "logits.pt")
    torch.testing.assert_close(logits[..., :CLASSES], outputs["singles"]["image_middle"]["logits"], rtol=0, atol=5e-5)
    code = {file.name for file in out.glob("*.py")}
    assert {file.name for file in (tmp_path / "out-again").glob("*.py")} == code
