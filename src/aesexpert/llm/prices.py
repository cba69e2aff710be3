"""What tokens cost: a small table, and what a job has used."""

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from aesexpert.llm.answers import Reply


BATCH_DISCOUNT = 0.5
"""What a batch costs of the usual price, at the vendors that offer one."""

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$|-\d{4}$")


class Price(NamedTuple):
    """US dollars for a million tokens.

    Args:
        prompt (`float`): Of what the model reads.
        completion (`float`): Of what it writes.
    """

    prompt: float
    completion: float

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of some tokens, in US dollars."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


def known_price(model: str) -> Price | None:
    """Looks a model up in `prices.json`, with and without the date in its name.

    Args:
        model (`str`): The model's name.

    Returns:
        `Price`: Its price, or `None` if the table lacks it.
    """
    table = json.loads(files(__package__).joinpath("prices.json").read_text(encoding="utf-8"))["models"]
    name = model if model in table else _DATE.sub("", model)
    return Price(*table[name]) if name in table else None


@dataclass
class Totals:
    """What a job has used so far.

    Args:
        answered (`int`): Requests with a usable answer, those of the journal included.
        failed (`int`): Requests given up.
        from_journal (`int`): Requests whose answer was in the journal.
        prompt_tokens (`int`): Tokens read, in this run.
        completion_tokens (`int`): Tokens written, in this run.
        replies (`int`): Replies paid for, in this run; usable or not.
        price (`Price`, *optional*): What tokens cost, if it is known.
    """

    price: Price | None = None
    answered: int = 0
    failed: int = 0
    from_journal: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    replies: int = 0

    def add(self, reply: Reply) -> None:
        """Counts a reply."""
        self.replies += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens

    @property
    def cost(self) -> float | None:
        """US dollars, or `None` if the price is not known."""
        return None if self.price is None else self.price.cost(self.prompt_tokens, self.completion_tokens)

    def __str__(self) -> str:
        parts = [f"{self.answered:,} answered ({self.from_journal:,} of them in the journal already)"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts.append(f"{self.prompt_tokens:,} tokens read and {self.completion_tokens:,} written")
        parts.append("cost unknown: give --price" if self.cost is None else f"${self.cost:.2f}")
        return ", ".join(parts)
