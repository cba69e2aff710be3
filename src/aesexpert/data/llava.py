"""LLaVA-style conversations: turns of `from` and `value`, a picture named by `<image>` in the first."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


_IMAGE = "<image>"
_HUMAN, _MODEL = ("human", "user"), ("gpt", "assistant")
_LETTERED = re.compile(r"^\s*\(?([A-Z])[).:]\s*(\S.*?)\s*$")
_CALL = re.compile(
    r"\s*(choose (one|an option|the correct (option|answer))( from| among)?( the)?( following| given)?( options?)?"
    r"[.:]?|options:)\s*$",
    re.IGNORECASE,
)
_DEMAND = re.compile(r"^\s*(you should output|answer with|please (answer|output|choose))", re.IGNORECASE)


class Turn(NamedTuple):
    """What was asked about a picture and what was answered."""

    prompt: str
    response: str


class Asked(NamedTuple):
    """A prompt taken apart: the question, and its options where it has some."""

    question: str
    options: tuple[str, ...]


def turns(conversations: Any) -> list[Turn]:
    """Reads a conversation as pairs of prompt and response.

    Args:
        conversations (`list[dict]`): Turns with `from` (human, gpt) and `value`, in turn.

    Returns:
        `list[Turn]`: The pairs, without `<image>`.

    Raises:
        `ValueError`: If it is anything else; the message says what.
    """
    if not isinstance(conversations, Sequence) or not conversations or len(conversations) % 2:
        raise ValueError("expected pairs of turns")
    pairs = []
    for human, model in zip(conversations[::2], conversations[1::2], strict=True):
        prompt, response = _value(human, _HUMAN), _value(model, _MODEL)
        pairs.append(Turn(prompt.replace(_IMAGE, "").strip(), response.strip()))
    if not all(pair.prompt and pair.response for pair in pairs):
        raise ValueError("expected text in every turn")
    return pairs


def _value(turn: Any, speakers: tuple[str, ...]) -> str:
    if not isinstance(turn, Mapping) or not isinstance(turn.get("value"), str) or turn.get("from") not in speakers:
        raise ValueError(f"expected a turn with `from` ({' or '.join(speakers)}) and a text `value`")
    return turn["value"]


def split_options(prompt: str) -> Asked:
    """Takes a prompt with lettered options apart.

    Args:
        prompt (`str`): A question, a call to choose, options one a line ("A) ...", "B) ..."), a demand on the form.

    Returns:
        `Asked`: The question without call, options and demand; the whole prompt and no options where there are none.

    Example:

    ```python
    >>> split_options("Is it calm? Choose one from the following options:\\nA) Yes\\nB) No")
    Asked(question='Is it calm?', options=('Yes', 'No'))
    ```
    """
    lines = prompt.strip().split("\n")
    matches = [_LETTERED.match(line) for line in lines]
    first = next((i for i, match in enumerate(matches) if match and match[1] == "A"), len(lines))
    options = read_options("\n".join(lines[first:]))
    question = _CALL.sub("", "\n".join(lines[:first])).strip()
    return Asked(question, options) if options and question else Asked(prompt.strip(), ())


def read_options(text: str) -> tuple[str, ...]:
    """Reads options one a line behind their letters; the space behind the bracket may be missing.

    Args:
        text (`str`): `"A) xx\\nB) xx\\nC) xx\\nD)xx"`; a demand on the form may follow.

    Returns:
        `tuple[str, ...]`: The options without letters; none unless there are two or more, lettered in order.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    while lines and _DEMAND.match(lines[-1]):
        lines.pop()
    matches = [_LETTERED.match(line) for line in lines]
    letters = [match[1] if match else "" for match in matches]
    if len(lines) < 2 or letters != [chr(ord("A") + i) for i in range(len(lines))]:
        return ()
    return tuple(match[2] for match in matches if match)


def chosen_option(answer: str, options: Sequence[str]) -> str | None:
    """Finds the option that a recorded answer names: by its text, its letter, or both.

    Args:
        answer (`str`): The answer.
        options (`Sequence[str]`): The options.

    Returns:
        `str`, *optional*: The option's text; none if the answer is not exactly one of these.
    """
    for letter, option in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", options, strict=False):
        spellings = {
            option,
            letter,
            f"{letter}.",
            f"{letter})",
            f"({letter})",
            f"{letter}) {option}",
            f"{letter}. {option}",
        }
        if answer.strip().rstrip(".") in {spelling.rstrip(".") for spelling in spellings}:
            return option
    return None
