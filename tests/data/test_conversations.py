from dataclasses import replace

import pytest

from aesexpert.data.conversations import (
    choice_question,
    lettered,
    multiple_choice_prompt,
    to_instructions,
    to_messages,
    to_prompt_completion,
)
from aesexpert.data.records import Feedback, Question
from aesexpert.taxonomy import AnswerFormat, Dimension, FeedbackPart, Grade, QuestionType


FEEDBACK = Feedback(FeedbackPart.GRADE, "How good is it?", "It is fair.", Grade.AVERAGE, "p1")
CHOICE = Question(
    "Is it dark?", "No", ("Yes", "No"), QuestionType.YES_NO, Dimension.QUALITY, AnswerFormat.MULTIPLE_CHOICE
)
PROSE = Question("Why?", "It is noon.", (), QuestionType.WHY, Dimension.ATTRIBUTE, AnswerFormat.OPEN_ENDED)


def test_letters():
    assert lettered(["a tree", "B) a house", "no"]) == "A) a tree\nB) B) a house\nC) no"
    assert lettered([str(number) for number in range(26)]).endswith("\nZ) 25")


def test_more_options_than_letters():
    with pytest.raises(ValueError, match="`options` has 27 entries, expected at most 26"):
        lettered(["x"] * 27)


def test_choice_prompts_are_the_benchmarks():
    question = "Is it dark? Choose one from the following options:\nA) Yes\nB) No"
    assert choice_question("Is it dark?", ["Yes", "No"]) == question
    prompt = question + "\nYou should output a correct option without explanation."
    assert multiple_choice_prompt("Is it dark?", ["Yes", "No"]) == prompt


def test_instructions_are_descriptions_then_questions():
    assert to_instructions([FEEDBACK, replace(FEEDBACK, critique="Fair.")], [PROSE, CHOICE]) == [
        {"prompt": "How good is it?", "response": "It is fair.", "kind": "description"},
        {"prompt": "How good is it?", "response": "Fair.", "kind": "description"},
        {"prompt": "Why?", "response": "It is noon.", "kind": "vqa"},
        {"prompt": multiple_choice_prompt("Is it dark?", ["Yes", "No"]), "response": "No", "kind": "vqa"},
    ]


def test_statements_are_answered_with_their_letter_and_labels_in_words():
    statements = replace(CHOICE, answer="Soft light from a window", options=("Haze", "Soft light from a window"))
    labels = replace(CHOICE, answer="Too dark", options=("Blur", "Too dark"))
    open_ended = replace(statements, format=AnswerFormat.OPEN_ENDED)
    responses = [row["response"] for row in to_instructions([], [statements, labels, open_ended])]
    assert responses == ["B", "Too dark", "Soft light from a window"]


def test_no_annotations_no_instructions():
    assert to_instructions([], []) == []


def test_shapes_for_training():
    (instruction,) = to_instructions([FEEDBACK], [])
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How good is it?"}]}
    assistant = {"role": "assistant", "content": [{"type": "text", "text": "It is fair."}]}
    assert to_prompt_completion(instruction) == {"prompt": [user], "completion": [assistant]}
    assert to_messages(instruction) == [user, assistant]
