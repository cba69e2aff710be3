"""Folders with a tokenizer, as transformers wrote them, as they were released: what the new folder holds."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionModel,
    LlavaForConditionalGeneration,
)

from aesexpert.models import AesExpertForConditionalGeneration, save_checkpoint
from aesexpert.models.convert import ConversionError, convert_checkpoint, writer
from parity import CASES, CLASSES, FIXTURES, as_shards, convert, with_tokenizer
from tiny_models import build_tiny_llava
from vicuna import vicuna_tokenizer


LLAVA, OWL2 = CASES["llava"].checkpoint, CASES["owl2"].checkpoint
EMBEDDED = CASES["embedded"].checkpoint
TOWER = FIXTURES / CASES["llava"].tower


def tensors_of(folder):
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def test_a_source_without_tokenizer_is_converted_with_a_warning(tmp_path, capsys):
    out = convert(OWL2, tmp_path / "out")
    assert "note: the source has no tokenizer, so there is no processor either" in capsys.readouterr().out
    names = {file.name for file in out.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "README.md",
    } <= names
    assert not names & {"processor_config.json", "tokenizer.json", "chat_template.jinja"}


def test_every_source_tensor_is_used_or_named(tmp_path, capsys):
    source = tmp_path / "source"
    shutil.copytree(OWL2, source)
    tensors = load_file(source / "model.safetensors") | {"model.extra.weight": torch.zeros(2)}
    save_file(tensors, source / "model.safetensors")
    report = convert_checkpoint(source, tmp_path / "out")
    assert report.unused.pop("model.extra.weight") == "no part of the model takes it"
    assert set(report.unused.values()) == {"the model computes it from its configuration"}
    assert all(name.endswith(("inv_freq", "q_pos_embed", "k_pos_embed")) for name in report.unused)
    layers = 3
    # the fused projections of the tower become three tensors each
    assert report.written == len(tensors) - 1 - len(report.unused) + layers * 2 * 2
    card = (tmp_path / "out" / "README.md").read_text()
    assert "model.extra.weight" in card and f"| tensors written | {report.written} |" in card


def test_names_are_those_that_save_pretrained_gives(tmp_path):
    for name, source in (("llava", LLAVA), ("owl2", OWL2)):
        out = convert(source, tmp_path / name)
        AutoModelForImageTextToText.from_pretrained(out).save_pretrained(tmp_path / f"{name}-again")
        first, again = tensors_of(out), tensors_of(tmp_path / f"{name}-again")
        assert first.keys() == again.keys()
        assert all(torch.equal(first[key], again[key]) for key in first)


def test_stock_and_registered_formats_hold_the_same(tmp_path):
    source = with_tokenizer(LLAVA, tmp_path / "source")
    stock = convert(source, tmp_path / "stock", *CASES["llava"].arguments())
    registered = convert(source, tmp_path / "registered", *CASES["llava"].arguments(), "--format", "aesexpert")
    first, second = tensors_of(stock), tensors_of(registered)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    models = [AutoModelForImageTextToText.from_pretrained(folder) for folder in (stock, registered)]
    assert [type(model).__name__ for model in models] == [
        "LlavaForConditionalGeneration",
        "AesExpertForConditionalGeneration",
    ]
    processor = AutoProcessor.from_pretrained(registered)
    assert type(processor).__name__ == "AesExpertProcessor"
    inputs = processor(images=Image.new("RGB", (80, 40), "red"), text="a <image> b", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(*(model(**inputs).logits for model in models))


def test_the_vocabulary_grows_to_a_multiple_of_64_by_tokens_that_are_never_likeliest(tmp_path):
    source = with_tokenizer(LLAVA, tmp_path / "source")
    out = convert(source, tmp_path / "out", *CASES["llava"].arguments())
    model, tokenizer = LlavaForConditionalGeneration.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert tokenizer.convert_tokens_to_ids(["<image>", "<pad>"]) == [320, 321]
    assert (tokenizer.pad_token, model.config.text_config.pad_token_id) == ("<pad>", 321)
    assert (model.config.image_token_id, model.config.text_config.vocab_size) == (320, 384)
    original = load_file(LLAVA / "model.safetensors")
    for name, weight in (
        ("lm_head", model.lm_head.weight),
        ("model.embed_tokens", model.get_input_embeddings().weight),
    ):
        assert torch.equal(weight[:320], original[f"{name}.weight"])
        torch.testing.assert_close(weight[320:], original[f"{name}.weight"].mean(0).expand(64, -1))
    with torch.no_grad():
        assert model(input_ids=torch.randint(3, 320, (2, 9))).logits.argmax(-1).max() < 320


def test_owl2_gets_one_row_and_keeps_its_padding_token(tmp_path):
    out = convert(with_tokenizer(OWL2, tmp_path / "source"), tmp_path / "out")
    processor = AutoProcessor.from_pretrained(out)
    config = json.loads((out / "config.json").read_text())
    assert (config["image_token_id"], config["text_config"]["vocab_size"]) == (320, 321)
    assert processor.tokenizer.convert_tokens_to_ids("<|image|>") == 320
    assert processor.tokenizer.pad_token == "<unk>"
    assert processor.image_seq_length == 9


def test_the_tower_of_a_frozen_checkpoint_is_the_named_one(tmp_path):
    """The original loads the named tower over the one inside, unless it was trained."""
    source = tmp_path / "source"
    shutil.copytree(EMBEDDED, source)
    config = json.loads((source / "config.json").read_text())
    for trained, expected in ((False, TOWER), (True, EMBEDDED)):
        (source / "config.json").write_text(json.dumps(config | {"unfreeze_mm_vision_tower": trained}))
        report = convert_checkpoint(source, tmp_path / f"out-{trained}", vision_tower=TOWER)
        written = tensors_of(tmp_path / f"out-{trained}")["vision_tower.embeddings.class_embedding"]
        inside = load_file(EMBEDDED / "model.safetensors")
        alternatives = {
            TOWER: load_file(TOWER / "model.safetensors")["vision_model.embeddings.class_embedding"],
            EMBEDDED: inside["model.vision_tower.vision_tower.vision_model.embeddings.class_embedding"],
        }
        assert torch.equal(written, alternatives.pop(expected)) and not torch.equal(written, *alternatives.values())
        assert "vision tower was" in report.notes[0]
        left_over = sum("vision_tower" in name for name in report.unused)
        assert left_over == (0 if trained else 55)


def test_the_tower_is_found_from_the_working_directory(tmp_path, monkeypatch):
    source = tmp_path / "elsewhere" / "source"
    shutil.copytree(LLAVA, source)
    with pytest.raises(ConversionError, match="needs the vision tower 'clip_vision_tower': download it"):
        convert_checkpoint(source, tmp_path / "out")
    monkeypatch.chdir(TOWER.parent)
    convert_checkpoint(source, tmp_path / "out")


def test_a_whole_clip_can_be_the_tower(tmp_path):
    """`openai/clip-vit-large-patch14-336` has a text encoder besides."""
    vision = CLIPVisionModel.from_pretrained(TOWER)
    text = CLIPTextConfig(
        num_hidden_layers=1, hidden_size=16, num_attention_heads=2, intermediate_size=16, vocab_size=9
    )
    config = CLIPModel.config_class(text_config=text.to_dict(), vision_config=vision.config.to_dict())
    clip = CLIPModel(config)
    clip.vision_model.load_state_dict(vision.state_dict())
    clip.save_pretrained(tmp_path / "clip")
    report = convert_checkpoint(LLAVA, tmp_path / "out", vision_tower=tmp_path / "clip")
    convert_checkpoint(LLAVA, tmp_path / "expected", vision_tower=TOWER)
    first, second = tensors_of(tmp_path / "out"), tensors_of(tmp_path / "expected")
    assert all(torch.equal(first[key], second[key]) for key in second)
    assert "logit_scale" in report.unused


def test_the_released_7b_has_its_tower_inside_and_no_picture_token(tmp_path):
    """Trained with a frozen tower that the trainer saved along; the tower's own folder is not at hand."""
    source = with_tokenizer(
        EMBEDDED,
        tmp_path / "source",
        unfreeze_mm_vision_tower=False,
        mm_vision_tower="openai/clip-vit-large-patch14-336",
    )
    with pytest.raises(ConversionError, match="has the shape"):  # the tiny tower is not the one of that name
        convert_checkpoint(source, tmp_path / "out")
    report = convert_checkpoint(source, tmp_path / "out", vision_tower=TOWER)
    assert report.family == "llava"


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    source = with_tokenizer(LLAVA, folder / "source")
    return convert(source, folder / "stock", *CASES["llava"].arguments())


def test_a_stock_folder_comes_out_as_it_was(stock, tmp_path):
    again = convert(stock, tmp_path / "again")
    first, second = tensors_of(stock), tensors_of(again)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    for name in (
        "config.json",
        "processor_config.json",
        "chat_template.jinja",
        "tokenizer.json",
        "generation_config.json",
    ):
        assert (again / name).read_text() == (stock / name).read_text(), name


def test_a_llava_style_folder_without_picture_token_and_processor_fields(stock, tmp_path):
    """32,000 rows, a tokenizer without `<image>`, no patch size: what is missing is filled in."""
    source = tmp_path / "source"
    shutil.copytree(stock, source)
    tensors = tensors_of(stock)
    for name in ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"):
        tensors[name] = tensors[name][:CLASSES].clone()
    # an older spelling of the names, too
    tensors = {name.replace("vision_tower.", "vision_tower.vision_model."): t for name, t in tensors.items()}
    save_file(tensors, source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    config["text_config"]["vocab_size"] = CLASSES
    config["text_config"].pop("pad_token_id")
    (source / "config.json").write_text(json.dumps(config))
    for name in ("processor_config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        (source / name).unlink()
    shutil.copy(TOWER / "preprocessor_config.json", source)
    vicuna_tokenizer(CLASSES).save_pretrained(source)
    out = convert(source, tmp_path / "out")
    first, second = tensors_of(stock), tensors_of(out)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    processor = AutoProcessor.from_pretrained(out)
    assert (processor.patch_size, processor.vision_feature_select_strategy) == (14, "default")
    assert processor.num_additional_image_tokens == 1
    assert "padded to squares" in (out / "README.md").read_text().replace("\n", " ")


def test_a_stock_folder_of_another_tower_is_refused(stock, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(stock, source)
    config = json.loads((source / "config.json").read_text())
    config["vision_config"]["model_type"] = "siglip_vision_model"
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConversionError, match="`vision_config` is of type 'siglip_vision_model'"):
        convert_checkpoint(source, tmp_path / "out")


def test_a_converted_folder_is_saved_in_either_format(stock, tmp_path):
    model = AesExpertForConditionalGeneration.from_pretrained(stock)
    save_checkpoint(model, AutoProcessor.from_pretrained(stock), tmp_path / "again")
    assert tensors_of(tmp_path / "again").keys() == tensors_of(stock).keys()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_number_formats(tmp_path, dtype):
    out = convert(OWL2, tmp_path / "out", "--dtype", dtype)
    assert {tensor.dtype for tensor in tensors_of(out).values()} == {getattr(torch, dtype)}
    assert json.loads((out / "config.json").read_text())["dtype"] == dtype
    assert AutoModelForImageTextToText.from_pretrained(out).dtype == getattr(torch, dtype)
    # a folder in half precision stays so
    again = convert(OWL2, tmp_path / "again")
    assert json.loads((again / "config.json").read_text())["dtype"] == "float32"


def test_shards_with_an_index(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SHARD_BYTES", 200_000)
    source = as_shards(OWL2, tmp_path / "source", 5)
    out = convert(source, tmp_path / "out")
    index = json.loads((out / "model.safetensors.index.json").read_text())
    files = sorted(file.name for file in out.glob("*.safetensors"))
    assert files == [f"model-{n:05}-of-{len(files):05}.safetensors" for n in range(1, len(files) + 1)]
    assert len(files) > 2 and set(index["weight_map"].values()) == set(files)
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in tensors_of(out).values())
    whole = convert(OWL2, tmp_path / "whole")
    model, expected = (AutoModelForImageTextToText.from_pretrained(folder).state_dict() for folder in (out, whole))
    assert all(torch.equal(model[key], expected[key]) for key in expected)


def test_our_own_tiny_llava_is_a_stock_folder(tmp_path):
    report = convert_checkpoint(build_tiny_llava(tmp_path / "tiny"), tmp_path / "out")
    assert report.unused == {}


def test_no_local_path_is_written(stock):
    for file in [*stock.glob("*.json"), stock / "README.md"]:
        assert str(stock.parent) not in file.read_text(), file
