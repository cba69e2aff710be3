"""Rows, draws and labels."""

import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aesexpert.train import InstructionSampler, build_trainer, instruction_rows


def test_one_row_an_instruction(pictures):
    rows = instruction_rows(pictures)
    expected = [
        (picture["image_id"], instruction["prompt"], instruction["response"])
        for picture in pictures
        for instruction in picture["instructions"]
    ]
    assert len(rows) == len(expected)
    for i in (0, 1, len(rows) - 1):
        row = rows[i]
        (user,), (assistant,) = row["prompt"], row["completion"]
        assert user["content"] == [{"type": "image"}, {"type": "text", "text": expected[i][1]}]
        assert assistant["content"] == [{"type": "text", "text": expected[i][2]}]
    assert row["image"].size == pictures[-1]["image"].size
    assert pickle.loads(pickle.dumps(rows))[0]["prompt"] == rows[0]["prompt"]


def test_kinds_are_filtered(pictures):
    both, descriptions = instruction_rows(pictures), instruction_rows(pictures, ["description"])
    assert len(descriptions) == 3 * len(pictures)
    assert len(both) == len(descriptions) + len(instruction_rows(pictures, ["vqa"]))


def test_long_responses_are_left_out(pictures):
    responses = [row["completion"][0]["content"][0]["text"] for row in instruction_rows(pictures)]
    kept = [row["completion"][0]["content"][0]["text"] for row in instruction_rows(pictures, max_response_words=2)]
    assert kept == [response for response in responses if len(response.split()) <= 2]
    assert 0 < len(kept) < len(responses)


def test_nothing_left_is_an_error(pictures):
    with pytest.raises(ValueError, match=r"no instruction is left of \d+ pictures with `kinds` \['songs'\]"):
        instruction_rows(pictures, ["songs"])


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.one_of(st.none(), st.integers(1, 8)),
    st.integers(0, 1000),
)
def test_each_epoch_draws_that_many_of_each_picture(pictures_of_rows, limit, epoch):
    sampler = InstructionSampler(pictures_of_rows, limit, seed=1)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == len(set(drawn))
    counts = Counter(pictures_of_rows[row] for row in drawn)
    for picture, count in Counter(pictures_of_rows).items():
        assert counts[picture] == (count if limit is None else min(limit, count))
    assert list(sampler) == drawn


def test_rows_of_a_visit_come_one_after_the_other():
    pictures = [0, 0, 1, 1, 2, 2, 3, 3]
    visits = ["a", "a", "b", "b", "a", "a", "b", "b"]
    for epoch in range(20):
        sampler = InstructionSampler(pictures, 1, visits)
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert [visits[row] for row in drawn] in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
        assert sorted(pictures[row] for row in drawn) == [0, 1, 2, 3]


def test_epochs_and_seeds_differ():
    sampler = InstructionSampler([0] * 50, 10, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(InstructionSampler([0] * 50, 10, seed=7)) != first


def test_the_trainer_changes_the_draw_every_epoch(recipe):
    trainer = build_trainer(*recipe(instructions_per_picture=1, num_train_epochs=3, max_steps=-1))
    batches = []
    collate = trainer.data_collator
    trainer.data_collator = lambda rows: (batches.append([str(row["prompt"]) for row in rows]), collate(rows))[1]
    trainer.train()
    drawn = [prompt for batch in batches for prompt in batch]
    pictures = len(trainer.train_dataset.with_format(None).unique("picture"))
    assert len(drawn) == 3 * pictures
    assert len({tuple(sorted(drawn[i * pictures : (i + 1) * pictures])) for i in range(3)}) > 1


def test_labels_cover_the_response_alone(recipe):
    trainer = build_trainer(*recipe())
    tokenizer = trainer.processing_class.tokenizer
    rows = [trainer.train_dataset[i] for i in range(4)]
    responses = [row["completion"][0]["content"][0]["text"] for row in rows]
    batch = trainer.data_collator(rows)
    for labels, response in zip(batch["labels"], responses, strict=True):
        assert tokenizer.decode(labels[labels != -100]) == f"{response}<|im_end|>\n"


def test_a_limit_below_one_is_an_error(recipe):
    with pytest.raises(ValueError, match="`instructions_per_picture` is 0, expected a number from 1 on"):
        recipe(instructions_per_picture=0)
