"""From the critiques of a picture to the request for its question-answer pairs."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from aesexpert.data.records import Feedback
from aesexpert.instruct.errors import InstructError
from aesexpert.instruct.schema import GeneratedPairs
from aesexpert.llm import Request


SYSTEM, PAIRS = "system.txt", "pairs.txt"

TOKENS_A_PAIR = 90
"""About what a pair with its alternatives takes, for estimates."""


class Prompts:
    """The prompts: text files, one a purpose, in which `$critiques` and `$count` stand for what they say.

    Args:
        folder (`str` or `Path`, *optional*): A folder with files in place of the library's own: `system.txt`,
            `pairs.txt` or both.
        parameters (`Mapping[str, Any]`, *optional*): Further fields of every request, such as `temperature`.

    Raises:
        `InstructError`: If the folder has neither, or a file names something else.
    """

    def __init__(self, folder: str | Path | None = None, parameters: Mapping[str, Any] | None = None) -> None:
        own = Path(folder) if folder is not None else None
        if own is not None and not any((own / name).is_file() for name in (SYSTEM, PAIRS)):
            raise InstructError(f"{own} has neither {SYSTEM} nor {PAIRS}; add one, or leave out `prompts`")
        self._system = _read(own, SYSTEM).template.strip()
        self._pairs = _read(own, PAIRS)
        self._parameters = dict(parameters or {})

    def request(self, image_id: str, feedbacks: Sequence[Feedback], count: int) -> Request:
        """Asks for all pairs of one picture.

        Args:
            image_id (`str`): The picture.
            feedbacks (`Sequence[Feedback]`): Its critiques.
            count (`int`): How many pairs to ask for.

        Returns:
            `Request`: The request; its name is the picture's.
        """
        critiques = "\n".join(f"- {' '.join(feedback.critique.split())}" for feedback in feedbacks)
        text = self._pairs.substitute(critiques=critiques, count=count).strip()
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        return Request(image_id, messages, GeneratedPairs, self._parameters)

    def requests(self, feedback: Mapping[str, Sequence[Feedback]], count: int) -> Iterator[Request]:
        """Asks for the pairs of some pictures, one request each.

        Args:
            feedback (`Mapping[str, Sequence[Feedback]]`): Critiques by `image_id`.
            count (`int`): How many pairs a picture to ask for.

        Yields:
            `Request`: A request, made when it is drawn.
        """
        for image_id, feedbacks in feedback.items():
            yield self.request(image_id, feedbacks, count)


def _read(folder: Path | None, name: str) -> Template:
    own = folder / name if folder is not None else None
    if own is None or not own.is_file():
        return Template(files(__package__).joinpath("prompts", name).read_text(encoding="utf-8"))
    try:
        template = Template(own.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InstructError(f"cannot read {own}: {error}") from error
    unknown = set(template.get_identifiers()) - {"critiques", "count"}
    if unknown or not template.is_valid():
        found = f"${min(unknown)}" if unknown else "a $ that begins no name"
        raise InstructError(f"{own} has {found}, expected $critiques and $count; write $$ for a dollar sign")
    if name == PAIRS and "critiques" not in template.get_identifiers():
        raise InstructError(f"{own} lacks $critiques, where the critiques go; add it")
    return template
