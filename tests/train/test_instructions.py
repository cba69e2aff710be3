"""Rows, draws and labels."""

import pickle
from collections import Counter
from itertools import groupby

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


def test_pictures_without_instructions_are_counted(pictures, caplog):
    bare = pictures.map(lambda row: row | {"instructions": []} if row["image_id"] == pictures[0]["image_id"] else row)
    rows = instruction_rows(bare)
    assert 0 not in rows.with_format(None)["picture"]
    assert f"1 of {len(pictures)} pictures have no instruction to train on" in caplog.text


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
def test_each_epoch_has_every_instruction_once_in_visits(pictures_of_rows, limit, epoch):
    sampler = InstructionSampler(pictures_of_rows, limit, seed=1)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert sorted(drawn) == list(range(len(pictures_of_rows)))
    assert len(sampler) == len(drawn)
    assert list(sampler) == drawn
    if limit is None:  # each picture is visited once
        assert len(list(groupby(pictures_of_rows[row] for row in drawn))) == len(set(pictures_of_rows))


def test_a_visit_has_as_many_instructions_as_asked_for():
    pictures = [0] * 7 + [1] * 7
    sampler = InstructionSampler(pictures, 3)
    lengths = Counter()
    for epoch in range(200):
        sampler.set_epoch(epoch)
        lengths.update(len(list(rows)) for _, rows in groupby(pictures[row] for row in sampler))
    assert {3, 2} <= set(lengths)  # seven are divided into 3, 2 and 2; longer where two visits of a picture meet


def test_a_group_is_asked_one_question_after_the_other():
    pictures = [0, 0, 1, 1, 2, 2, 3, 3]
    groups = ["a", "a", "b", "b", "a", "a", "b", "b"]
    questions = ["sharp?", "dark?"] * 4
    for epoch in range(20):
        sampler = InstructionSampler(pictures, 1, groups, questions)
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        for start in range(0, 8, 2):
            assert len({(groups[row], questions[row]) for row in drawn[start : start + 2]}) == 1
            assert len({pictures[row] for row in drawn[start : start + 2]}) == 2


@given(st.integers(1, 4), st.integers(0, 1000))
def test_what_only_some_of_a_group_are_asked_fills_rounds_of_the_same_size(size, epoch):
    # two groups of three pictures, asked two questions in common; the first of each group is asked five more
    rows = [(g, 3 * g + p, f"all {n}") for g in range(2) for p in range(3) for n in range(2)]
    rows += [(g, 3 * g, f"own {g} {n}") for g in range(2) for n in range(5)]
    groups, pictures, questions = zip(*rows, strict=True)
    sampler = InstructionSampler(pictures, 1, groups, questions)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert sorted(drawn) == list(range(len(rows)))
    for start in range(0, len(rows) - 2, 3):
        asked = {questions[row][:3] for row in drawn[start : start + 3]}
        assert len(asked) == 1
    by_visits = InstructionSampler(pictures, size, groups, questions)
    assert sorted(by_visits) == list(range(len(rows)))


def test_epochs_and_seeds_differ():
    sampler = InstructionSampler([0] * 50, 10, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(InstructionSampler([0] * 50, 10, seed=7)) != first


@pytest.mark.parametrize(("packing", "size"), [("one", None), ("shared", None), ("shared", 2)])
def test_the_trainer_visits_anew_every_epoch(recipe, packing, size):
    trainer = build_trainer(*recipe(packing=packing, instructions_per_picture=size, num_train_epochs=3, max_steps=-1))
    drawn = []
    collate = trainer.data_collator
    trainer.data_collator = lambda rows: (drawn.extend(row["picture"] for row in rows), collate(rows))[1]
    trainer.train()
    rows = trainer.train_dataset.with_format(None)["picture"]
    assert len(drawn) == 3 * len(rows)
    epochs = [drawn[i * len(rows) : (i + 1) * len(rows)] for i in range(3)]
    assert all(sorted(epoch) == sorted(rows) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1
    visits = len(list(groupby(epochs[0])))
    assert (visits == len(set(rows))) == (packing == "shared" and size is None)


def test_labels_cover_the_response_alone(recipe):
    trainer = build_trainer(*recipe(packing="one"))
    tokenizer = trainer.processing_class.tokenizer
    rows = [trainer.train_dataset[i] for i in range(4)]
    responses = [row["completion"][0]["content"][0]["text"] for row in rows]
    batch = trainer.data_collator(rows)
    for labels, response in zip(batch["labels"], responses, strict=True):
        assert tokenizer.decode(labels[labels != -100]) == f"{response}<|im_end|>\n"


def test_a_limit_below_one_is_an_error(recipe):
    with pytest.raises(ValueError, match="`instructions_per_picture` is 0, expected a number from 1 on"):
        recipe(instructions_per_picture=0)
