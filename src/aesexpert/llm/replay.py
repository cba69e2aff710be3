"""What a journal says of a request."""

from dataclasses import dataclass
from typing import Any

from aesexpert.llm.answers import Answer, Reply, Unusable, parse
from aesexpert.llm.journal import Journal
from aesexpert.llm.requests import Request


@dataclass
class Replay:
    """What has become of a request so far.

    Args:
        answer (`Answer`, *optional*): The first usable answer, if there is one.
        unusable (`int`, *optional*, defaults to 0): How many answers could not be used.
        problem (`str`, *optional*, defaults to `""`): What was wrong with the last of them.
        text (`str`, *optional*, defaults to `""`): Its text.
    """

    answer: Answer | None = None
    unusable: int = 0
    problem: str = ""
    text: str = ""

    def take(self, request: Request, reply: Reply, from_journal: bool = False) -> None:
        """Reads one more reply."""
        try:
            parsed = parse(request, reply)
        except Unusable as problem:
            self.unusable, self.problem, self.text = self.unusable + 1, str(problem), reply.text
        else:
            self.answer = to_answer(request, reply, parsed, from_journal)

    @property
    def given_up(self) -> str:
        """Why no further answer is asked for."""
        return f"no usable answer in {self.unusable}: {self.problem}"


def replay(request: Request, key: str, journal: Journal | None) -> Replay:
    """Reads what a journal has of a request. A changed schema reads the same replies anew.

    Args:
        request (`Request`): The request.
        key (`str`): Its key.
        journal (`Journal`, *optional*): The journal.

    Returns:
        `Replay`: What has become of it.
    """
    found = Replay()
    for reply in journal.replies(key) if journal else ():
        found.take(request, reply, from_journal=True)
        if found.answer:
            break
    return found


def to_answer(request: Request, reply: Reply, parsed: Any, from_journal: bool = False) -> Answer:
    """Makes an answer of a reply that was read."""
    return Answer(
        id=request.id,
        text=reply.text,
        parsed=parsed if request.schema is not None else None,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        from_journal=from_journal,
    )


def outcome(request: Request, key: str, journal: Journal) -> Answer | None:
    """Says how a request ended, from the journal alone.

    Args:
        request (`Request`): The request.
        key (`str`): Its key.
        journal (`Journal`): The journal.

    Returns:
        `Answer`: The answer, or one with the reason why there is none; `None` if it was not asked yet.
    """
    found = replay(request, key, journal)
    failure = journal.failure(key) or (found.given_up if found.unusable else None)
    if found.answer or failure is None:
        return found.answer
    return Answer(request.id, found.text, failure=failure, from_journal=True)
