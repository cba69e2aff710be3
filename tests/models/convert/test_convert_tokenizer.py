"""The tokenizer as the originals have it, a SentencePiece model and nothing else, against SentencePiece itself."""

import json
import shutil

import pytest
import sentencepiece
from PIL import Image
from transformers import AutoProcessor

from aesexpert.models.convert import ConversionError, convert_checkpoint
from aesexpert.models.convert import source as source_module
from parity import CASES, CLASSES, convert
from tiny_models import CORPUS


# as published with Vicuna-v1.5 and LLaVA-1.5
VICUNA = {
    "add_bos_token": True,
    "add_eos_token": False,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": None,
    "legacy": False,
    "model_max_length": 2048,
    "padding_side": "right",
    "tokenizer_class": "LlamaTokenizer",
}


@pytest.fixture(scope="module", params=["llava", "owl2"])
def source(request, tmp_path_factory):
    """A checkpoint in its authors' layout with a `tokenizer.model`."""
    case, folder = CASES[request.param], tmp_path_factory.mktemp(request.param)
    shutil.copytree(case.checkpoint, folder / "source")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=CLASSES,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    (folder / "tokenizer.model").rename(folder / "source" / "tokenizer.model")
    (folder / "source" / "tokenizer_config.json").write_text(json.dumps(VICUNA))
    return case, folder / "source"


def test_text_around_a_picture_is_tokenised_as_by_the_original(source, tmp_path):
    case, folder = source
    processor = AutoProcessor.from_pretrained(convert(folder, tmp_path / "out", *case.arguments()))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    question = "How would you rate the light?  Is it calm"
    content = [{"type": "image", "image": Image.new("RGB", (60, 40))}, {"type": "text", "text": question}]
    messages = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    before, behind = text.removeprefix("<s>").split(processor.image_token)
    ids = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
    expected = [1, *pieces.encode(before), *[CLASSES] * case.vectors, *pieces.encode(behind)]
    assert ids["input_ids"][0] == expected
    # an answer goes on as the original's training text does
    whole = [*messages, {"role": "assistant", "content": [{"type": "text", "text": "The colour is pleasant."}]}]
    ids = processor.apply_chat_template(whole, tokenize=True, return_dict=True)["input_ids"][0]
    assert ids == [*expected[: -len(pieces.encode(behind))], *pieces.encode(f"{behind} The colour is pleasant."), 2]
    # and so does a completion that is tokenised on its own
    assert processor.tokenizer(" The colour", add_special_tokens=False).input_ids == pieces.encode("The colour")
    assert processor.tokenizer.padding_side == "left"


def test_sentencepiece_that_is_not_installed(source, tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "find_spec", lambda name: None)
    with pytest.raises(ConversionError, match=r"needs sentencepiece: pip install 'aesexpert\[convert\]'"):
        convert_checkpoint(source[1], tmp_path / "out")
