"""From annotations to conversations: the wording of prompts, and the shapes that trainers read.

Pure functions on plain values. Training and benchmark take the wording of a choice question from here, so that a
model is asked in the words it was tuned on.
"""

from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any, TypedDict

from aesexpert.data.records import Feedback, Question
from aesexpert.taxonomy import AnswerFormat, InstructionKind


MAX_OPTIONS = len(ascii_uppercase)
"""How many options a question can have: one a letter."""


MAX_LABEL_WORDS = 2
"""Options of so many words are labels rather than statements."""


class Instruction(TypedDict):
    """One turn to learn: what is asked about a picture and what is answered."""

    prompt: str
    response: str
    kind: str


def lettered(options: Sequence[str]) -> str:
    """Writes options one a line behind their letters.

    Args:
        options (`Sequence[str]`): The options, at most 26.

    Returns:
        `str`: `"A) ..."`, `"B) ..."` and so on, joined by line breaks.

    Example:

    ```python
    >>> print(lettered(["Yes", "No"]))
    A) Yes
    B) No
    ```
    """
    if len(options) > MAX_OPTIONS:
        raise ValueError(f"`options` has {len(options)} entries, expected at most {MAX_OPTIONS}, one a letter")
    return "\n".join(f"{letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False))


def choice_question(question: str, options: Sequence[str]) -> str:
    """Asks a question with its options, in AesBench's words and without a demand on the form of the answer.

    Args:
        question (`str`): The question.
        options (`Sequence[str]`): Its options.

    Returns:
        `str`: The question, the call to choose and the lettered options.
    """
    return f"{question} Choose one from the following options:\n{lettered(options)}"


def multiple_choice_prompt(question: str, options: Sequence[str]) -> str:
    """Asks a multiple-choice question as AesBench does.

    Args:
        question (`str`): The question.
        options (`Sequence[str]`): Its options.

    Returns:
        `str`: The prompt.
    """
    return f"{choice_question(question, options)}\nYou should output a correct option without explanation."


def to_instructions(feedbacks: Iterable[Feedback], questions: Iterable[Question]) -> list[Instruction]:
    """Turns the annotations of one picture into its instructions, in a fixed order: descriptions, then AesVQA.

    The question put to people is the instruction and their critique the response (section 3.3 of the paper). The
    response to a multiple-choice question is the right option: in its words where all options are a word or two, which
    small models answer better in, and otherwise its letter, so that it can always be read.

    Args:
        feedbacks (`Iterable[Feedback]`): The picture's critiques.
        questions (`Iterable[Question]`): The picture's question-answer pairs.

    Returns:
        `list[Instruction]`: Dictionaries of `prompt`, `response` and `kind`.
    """
    descriptions = [
        Instruction(prompt=feedback.question, response=feedback.critique, kind=InstructionKind.DESCRIPTION.value)
        for feedback in feedbacks
    ]
    return descriptions + [
        Instruction(prompt=_prompt(question), response=_response(question), kind=InstructionKind.VQA.value)
        for question in questions
    ]


def _prompt(question: Question) -> str:
    if question.format is AnswerFormat.MULTIPLE_CHOICE:
        return multiple_choice_prompt(question.question, question.options)
    return question.question


def _response(question: Question) -> str:
    are_labels = all(len(option.split()) <= MAX_LABEL_WORDS for option in question.options)
    if question.format is AnswerFormat.OPEN_ENDED or are_labels:
        return question.answer
    return ascii_uppercase[question.options.index(question.answer)]


def to_prompt_completion(instruction: Instruction) -> dict[str, list[dict[str, Any]]]:
    """Writes an instruction as TRL's conversational prompt and completion, so that the loss is on the response alone.

    Args:
        instruction (`Instruction`): One entry of the `instructions` column.

    Returns:
        `dict[str, list[dict[str, Any]]]`: `prompt`, a user's turn with the picture and the text, and `completion`, an
        assistant's turn.
    """
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": instruction["prompt"]}]}
    assistant = {"role": "assistant", "content": [{"type": "text", "text": instruction["response"]}]}
    return {"prompt": [user], "completion": [assistant]}


def to_messages(instruction: Instruction) -> list[dict[str, Any]]:
    """Writes an instruction as one conversation, in the form that chat templates read.

    Args:
        instruction (`Instruction`): One entry of the `instructions` column.

    Returns:
        `list[dict[str, Any]]`: The user's turn and the assistant's.
    """
    turns = to_prompt_completion(instruction)
    return turns["prompt"] + turns["completion"]
