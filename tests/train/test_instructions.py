"""Rows, draws and labels."""

import pickle

import pytest

from aesexpert.train import build_trainer, instruction_rows


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
