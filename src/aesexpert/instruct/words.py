"""Comparing texts by their content words: what an answer owes to the critiques, and which questions ask the same."""

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files


_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+")

_FUNCTION_WORDS = frozenset(files(__package__).joinpath("function_words.txt").read_text(encoding="utf-8").split())

_ENDINGS = ("ingly", "edly", "ness", "ment", "ing", "ies", "ied", "ed", "es", "ly", "s", "e", "y")

_SHORTEST_STEM = 3


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    """A crude stem: enough for "glowing", "glows" and "glowed" to be one word."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > _SHORTEST_STEM and word[-1] == word[-2] else word


def content_words(text: str) -> frozenset[str]:
    """Finds the stems of a text's content words.

    Args:
        text (`str`): The text.

    Returns:
        `frozenset[str]`: The stems, without function words.

    Example:

    ```python
    >>> sorted(content_words("The light is glowing softly"))
    ['glow', 'light', 'soft']
    ```
    """
    words = (match.group().lower() for match in _WORD.finditer(text))
    return frozenset(_stem(word) for word in words if word not in _FUNCTION_WORDS)


def support(text: str, critiques: Iterable[str]) -> float:
    """Measures how much of a text's content occurs in some critiques.

    Args:
        text (`str`): An answer.
        critiques (`Iterable[str]`): The critiques that it was written from.

    Returns:
        `float`: The share of its content words that the critiques have, from 0 to 1; 1 if it has none.
    """
    words = content_words(text)
    known = frozenset().union(*map(content_words, critiques))
    return len(words & known) / len(words) if words else 1.0


def similarity(one: str, other: str) -> float:
    """Compares two questions by what they ask about.

    Args:
        one (`str`): A question.
        other (`str`): Another one.

    Returns:
        `float`: The share of content words that they have in common (Jaccard), from 0 to 1.
    """
    mine, theirs = content_words(one), content_words(other)
    either = mine | theirs
    return len(mine & theirs) / len(either) if either else 1.0
