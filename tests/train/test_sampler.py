"""Visits and batches."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aesexpert.train import InstructionSampler, build_trainer


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.integers(1, 50),
    st.one_of(st.none(), st.integers(1, 8)),
    st.integers(0, 1000),
)
def test_each_epoch_has_every_instruction_once_in_visits(pictures_of_rows, batch_size, limit, epoch):
    sampler = InstructionSampler(pictures_of_rows, batch_size, limit, seed=1)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert sorted(drawn) == list(range(len(pictures_of_rows)))
    assert len(sampler) == len(drawn)
    assert list(sampler) == drawn
    if limit is None and batch_size >= 40:  # each picture is visited once
        assert len(list(groupby(pictures_of_rows[row] for row in drawn))) == len(set(pictures_of_rows))


@pytest.mark.parametrize(("size", "batch_size"), [(4, 4), (4, 16), (8, 16), (None, 16)])
def test_a_batch_has_visits_of_full_size_or_else_what_is_left_of_pictures(size, batch_size):
    pictures = [picture for picture in range(30) for _ in range(17 + picture % 4)]
    sampler = InstructionSampler(pictures, batch_size, size)
    sampler.set_epoch(3)
    drawn = [pictures[row] for row in sampler]
    batches = [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]
    visits = [[len(list(rows)) for _, rows in groupby(batch)] for batch in batches]
    full = size or batch_size
    begun = visits[:-2]  # the end of an epoch mixes what neither fills
    whole = [batch for batch in begun if max(batch) >= full]
    assert all(visit % full == 0 for batch in whole for visit in batch)  # 2 K where two visits of a picture meet
    assert 30 * 16 - 2 * batch_size <= sum(map(sum, whole)) < sum(map(sum, begun))


def test_a_group_is_asked_one_question_after_the_other():
    pictures = [0, 0, 1, 1, 2, 2, 3, 3]
    groups = ["a", "a", "b", "b", "a", "a", "b", "b"]
    questions = ["sharp?", "dark?"] * 4
    for epoch in range(20):
        sampler = InstructionSampler(pictures, 2, 1, groups, questions)
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        for start in range(0, 8, 2):
            assert len({(groups[row], questions[row]) for row in drawn[start : start + 2]}) == 1
            assert len({pictures[row] for row in drawn[start : start + 2]}) == 2


@given(st.integers(1, 4), st.integers(0, 1000))
def test_what_only_some_of_a_group_are_asked_fills_batches(size, epoch):
    # two groups of three pictures, asked two questions in common; the first of each group is asked five more
    rows = [(g, 3 * g + p, f"all {n}") for g in range(2) for p in range(3) for n in range(2)]
    rows += [(g, 3 * g, f"own {g} {n}") for g in range(2) for n in range(5)]
    groups, pictures, questions = zip(*rows, strict=True)
    sampler = InstructionSampler(pictures, 3, 1, groups, questions)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert sorted(drawn) == list(range(len(rows)))
    for start in range(0, len(rows) - 2, 3):
        asked = {questions[row][:3] for row in drawn[start : start + 3]}
        assert len(asked) == 1
    by_visits = InstructionSampler(pictures, 6, size, groups, questions)
    assert sorted(by_visits) == list(range(len(rows)))


def test_epochs_and_seeds_differ():
    sampler = InstructionSampler([0] * 50, 20, 10, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(InstructionSampler([0] * 50, 20, 10, seed=7)) != first


@pytest.mark.parametrize(("packing", "size"), [("one", None), ("shared", None), ("shared", 2)])
def test_the_trainer_visits_anew_every_epoch(recipe, packing, size):
    options = {"num_train_epochs": 3, "max_steps": -1, "per_device_train_batch_size": 64}
    trainer = build_trainer(*recipe(packing=packing, instructions_per_picture=size, **options))
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
