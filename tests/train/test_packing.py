"""Packed rows: loss and gradients of one instruction a row, for every family, and nothing seen across segments."""

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from aesexpert.data.conversations import to_prompt_completion
from aesexpert.train import SharedPrefixCollator, take_segments
from aesexpert.train.freezing import freeze_vision_tower
from tiny_families import FAMILIES, llava


WORDS = ["how", "would", "rate", "the", "light", "colour", "of", "this", "picture", "calm", "pleasant", "yes", "no"]


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def instruction_row(number: int, prompt_words: int, response_words: int, seed: int = 0) -> dict[str, Any]:
    generator = np.random.default_rng([number, prompt_words, response_words, seed])
    prompt, response = (" ".join(generator.choice(WORDS, count)) for count in (prompt_words, response_words))
    conversation = to_prompt_completion({"prompt": prompt, "response": response, "kind": "vqa"})
    return {"picture": number, "image": picture(number), **conversation}


ROWS = [instruction_row(0, 4, 3), instruction_row(0, 9, 1), instruction_row(1, 1, 12), instruction_row(0, 2, 5)]


def loss_of(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    inputs = dict(batch)
    labels = inputs.pop("labels")
    logits = model(**inputs).logits[:, :-1]
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="none")
    return losses.sum() / (labels != -100).sum()


def gradients(model: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = loss_of(model, batch)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def one(processor: Any, max_length: int | None = None) -> DataCollatorForVisionLanguageModeling:
    """TRL's own collator: one instruction a row. It changes the rows that it is given."""
    collator = DataCollatorForVisionLanguageModeling(processor, max_length=max_length, completion_only_loss=True)
    return lambda rows: collator([dict(row) for row in rows])


def assert_equal_training(model: nn.Module, single: dict[str, Any], packed: dict[str, Any]) -> None:
    loss, expected = gradients(model, single)
    packed_loss, actual = gradients(model, packed)
    assert packed_loss == pytest.approx(loss, rel=1e-5)
    assert expected.keys() == actual.keys()
    for name, gradient in expected.items():
        # a bias on all keys alike changes no attention: its gradient is zero but for rounding
        difference = (actual[name] - gradient).norm() / gradient.norm().clamp(min=1e-4)
        assert difference < 1e-5, name


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_equal_one_instruction_a_row(family, attention, tmp_path):
    model, processor = FAMILIES[family](tmp_path)
    model.set_attn_implementation(attention)
    freeze_vision_tower(model)
    take_segments(model)
    packed = SharedPrefixCollator(processor)(ROWS)
    assert len(packed["input_ids"]) == 2
    assert_equal_training(model, one(processor)(ROWS), packed)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["aesexpert", "llava", "internvl"])
def test_flex_attention_answers_alike(family, tmp_path):
    torch.compiler.reset()  # of one function only so many variants are compiled, over all tests of a process
    model, processor = FAMILIES[family](tmp_path)
    take_segments(model)
    batch = SharedPrefixCollator(processor)(ROWS)
    with torch.no_grad():
        expected = loss_of(model, batch)
        model.set_attn_implementation({"text_config": "flex_attention"})
        assert model.config.get_text_config()._attn_implementation == "flex_attention"
        torch.testing.assert_close(loss_of(model, batch), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_vision_tower_sees_each_picture_once(family, tmp_path):
    model, processor = FAMILIES[family](tmp_path)
    take_segments(model)
    seen = []
    model.get_encoder(modality="image").register_forward_hook(lambda *_: seen.append(1))
    single, packed = processor_pixels(one(processor)(ROWS)), processor_pixels(SharedPrefixCollator(processor)(ROWS))
    assert packed * 2 == single  # two pictures in place of four
    with torch.no_grad():
        loss_of(model, SharedPrefixCollator(processor)(ROWS))
    assert len(seen) == 1


def processor_pixels(batch: dict[str, torch.Tensor]) -> int:
    return batch["pixel_values"].numel()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["aesexpert", "llava", "smolvlm", "qwen2_5_vl"])
def test_another_segment_changes_nothing_bit_for_bit(family, attention, tmp_path):
    model, processor = FAMILIES[family](tmp_path)
    model.set_attn_implementation(attention)
    take_segments(model)
    batch = SharedPrefixCollator(processor)(ROWS)
    batch.pop("labels")
    segment_ids = batch["segment_ids"]
    poisoned = dict(batch, input_ids=batch["input_ids"].clone())
    place = (segment_ids[0] == 2).nonzero()[1]
    poisoned["input_ids"][0, place] = 7
    with torch.no_grad():
        before, after = model(**batch).logits[0], model(**poisoned).logits[0]
    touched = (before != after).any(dim=-1)
    assert touched[segment_ids[0] == 2].any()
    assert not touched[segment_ids[0] != 2].any()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=7),
    st.one_of(st.none(), st.integers(30, 80)),
    st.integers(0, 100),
)
def test_any_numbers_and_lengths(tiny, lengths, max_length, seed):
    """Truncation too: TRL cuts the end of a sequence, which is the end of a response."""
    model, processor = tiny
    rows = [instruction_row(number, *words, seed=seed) for number, *words in lengths]
    collator = SharedPrefixCollator(processor, max_length)
    single = one(processor, max_length)(rows)
    if not (single["labels"] != -100).any():
        with pytest.raises(ValueError, match="no instruction of a batch fits into `max_length`"):
            collator(rows)
        return
    packed = collator(rows)
    assert_well_formed(packed, max_length)
    labels, counts = single["labels"][single["labels"] != -100], Counter()
    counts.update(labels.tolist())
    assert Counter(packed["labels"][packed["labels"] != -100].tolist()) == counts
    assert_equal_training(model, single, packed)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    model, processor = llava(tmp_path_factory.mktemp("tiny"))
    freeze_vision_tower(model)
    take_segments(model)
    return model, processor


def assert_well_formed(batch: dict[str, torch.Tensor], max_length: int | None) -> None:
    segment_ids, positions, labels = batch["segment_ids"], batch["position_ids"], batch["labels"]
    assert max_length is None or segment_ids.shape[1] <= max_length
    assert torch.equal(batch["attention_mask"], (segment_ids >= 0).long())
    assert (labels[segment_ids <= 0] == -100).all()
    for row in range(len(segment_ids)):
        prefix = int((segment_ids[row] == 0).sum())
        assert positions[row, :prefix].tolist() == list(range(prefix))
        for number in range(1, int(segment_ids[row].max()) + 1):
            own = segment_ids[row] == number
            assert positions[row][own].tolist() == list(range(prefix, prefix + int(own.sum())))
            assert labels[row][own][0] == -100


def test_the_layout_of_a_row(tiny):
    _, processor = tiny
    batch = SharedPrefixCollator(processor)(ROWS)
    tokenizer = processor.tokenizer
    first = batch["segment_ids"][0]
    assert tokenizer.decode(batch["input_ids"][0][first == 0]) == "<|im_start|>user\n" + "<image>" * 4
    texts = [tokenizer.decode(batch["input_ids"][0][first == number]) for number in (1, 2, 3)]
    for text, row in zip(texts, [ROWS[0], ROWS[1], ROWS[3]], strict=True):
        asked, answered = row["prompt"][0]["content"][1]["text"], row["completion"][0]["content"][0]["text"]
        expected = f"\n{asked}<|im_end|>\n<|im_start|>assistant\n{answered}<|im_end|>\n"
        assert text == expected
    assert_well_formed(batch, None)


def test_a_picture_with_many_instructions_is_spread_over_rows(tiny):
    model, processor = tiny
    rows = [instruction_row(0, 3, 3, seed) for seed in range(9)]
    whole = SharedPrefixCollator(processor)(rows)
    limit = whole["input_ids"].shape[1] // 2
    collator = SharedPrefixCollator(processor, max_length=limit)
    batch = collator(rows)
    assert len(batch["input_ids"]) == len(batch["pixel_values"]) > 2
    assert not collator.counts
    assert_well_formed(batch, limit)
    assert_equal_training(model, one(processor)(rows), batch)


def test_long_instructions_are_cut_or_dropped_and_counted(tiny, caplog):
    _, processor = tiny
    rows = [instruction_row(0, 2, 2), instruction_row(0, 2, 30), instruction_row(0, 60, 2)]
    whole = SharedPrefixCollator(processor)(rows[:1])["input_ids"].shape[1]
    cutting = SharedPrefixCollator(processor, max_length=whole + 10)
    batch = cutting(rows)
    assert cutting.counts == {"cut": 1, "dropped": 1}
    assert (batch["input_ids"] == processor.image_token_id).sum() == 4 * len(batch["input_ids"])
    assert "1 instructions cut so far: longer than `max_length`" in caplog.text
    dropping = SharedPrefixCollator(processor, max_length=whole + 10, drop_long=True)
    assert dropping(rows)["segment_ids"].max() == 1
    assert dropping.counts == {"dropped": 2}


def test_a_prefix_that_exceeds_the_budget_leaves_the_other_pictures(tiny):
    _, processor = tiny
    collator = SharedPrefixCollator(processor, max_length=6)
    with pytest.raises(ValueError, match=r"`max_length` 6: its pictures take \d+ tokens and more; raise `max_length`"):
        collator(ROWS)
    assert collator.counts["dropped"] == 4


def test_rows_without_a_picture_stand_alone(tiny):
    model, processor = tiny
    texts = [
        {
            "picture": number,
            "image": None,
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "how calm"}]}],
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": "pleasant"}]}],
        }
        for number in ("a", "b")
    ]
    batch = SharedPrefixCollator(processor)([texts[0], *ROWS, texts[1]])
    assert len(batch["input_ids"]) == 4 and len(batch["pixel_values"]) == 2
    assert (batch["segment_ids"][0] != 0).all()
    assert torch.isfinite(loss_of(model, batch))
    alone = SharedPrefixCollator(processor)(texts)
    assert "pixel_values" not in alone
    assert torch.isfinite(loss_of(model, alone))


def test_the_collator_goes_to_workers(tiny):
    _, processor = tiny
    collator = pickle.loads(pickle.dumps(SharedPrefixCollator(processor, 100)))
    assert torch.equal(collator(ROWS)["input_ids"], SharedPrefixCollator(processor, 100)(ROWS)["input_ids"])
