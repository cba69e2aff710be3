"""LLaVA-style conversations, options and answers."""

import pytest

from aesexpert.data.llava import chosen_option, read_options, split_options, turns


def test_turns_in_pairs_without_the_picture():
    conversation = [
        {"from": "human", "value": "<image>\nHow is it?"},
        {"from": "gpt", "value": " Calm. "},
        {"from": "human", "value": "Why?"},
        {"from": "gpt", "value": "It is blue."},
    ]
    assert turns(conversation) == [("How is it?", "Calm."), ("Why?", "It is blue.")]


@pytest.mark.parametrize(
    "conversation",
    [
        None,
        [],
        "text",
        [{"from": "human", "value": "?"}],
        [{"from": "gpt", "value": "?"}, {"from": "human", "value": "!"}],
        [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "!"}],
        [{"from": "human", "value": 1}, {"from": "gpt", "value": "!"}],
        [1, 2],
    ],
)
def test_anything_else_is_an_error(conversation: object):
    with pytest.raises(ValueError, match="expected"):
        turns(conversation)


@pytest.mark.parametrize(
    "text, options",
    [
        ("A) xx\nB) yy\nC) zz\nD)ww", ("xx", "yy", "zz", "ww")),
        ("A) High\nB) Medium\nC) Low", ("High", "Medium", "Low")),
        ("(A) Yes\n(B) No\n", ("Yes", "No")),
        ("A. Yes\nB. No\nAnswer with the letter.", ("Yes", "No")),
        ("A) Yes\nB) No\nYou should output a correct option without explanation.", ("Yes", "No")),
        ("A) alone", ()),
        ("A) Yes\nC) No", ()),
        ("no options", ()),
        ("", ()),
    ],
)
def test_options(text: str, options: tuple[str, ...]):
    assert read_options(text) == options


@pytest.mark.parametrize(
    "prompt, question, options",
    [
        ("Is it calm? Choose one from the following options:\nA) Yes\nB) No", "Is it calm?", ("Yes", "No")),
        ("Is it calm?\nA) Yes\nB) No\nAnswer with the option's letter.", "Is it calm?", ("Yes", "No")),
        ("Is it calm? Options:\nA) Yes\nB) No", "Is it calm?", ("Yes", "No")),
        ("A) Yes\nB) No", "A) Yes\nB) No", ()),
        ("What do you choose?", "What do you choose?", ()),
        ("A picture. Why?", "A picture. Why?", ()),
    ],
)
def test_prompts_are_taken_apart(prompt: str, question: str, options: tuple[str, ...]):
    assert split_options(prompt) == (question, options)


@pytest.mark.parametrize(
    "answer, chosen",
    [("Yes", "Yes"), ("A", "Yes"), ("A)", "Yes"), ("(B)", "No"), ("B) No", "No"), ("B. No.", "No"), ("Perhaps", None)],
)
def test_recorded_answers(answer: str, chosen: str | None):
    assert chosen_option(answer, ("Yes", "No")) == chosen
