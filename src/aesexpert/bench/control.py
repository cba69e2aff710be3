"""The control of a vision benchmark: the same questions with the wrong pictures.

A model that scores as well with them has answered from the wording of the questions alone.
"""

import random
from collections import Counter
from collections.abc import Mapping

from aesexpert.bench.errors import BenchError


SWAPPED = "swapped"
"""The name of the control in which every picture's questions are asked with another picture."""

SEED = 0
"""The seed of every draw in the benchmark, so that a run can be repeated."""


def check_control(control: str | None) -> None:
    """Checks the name of a control.

    Raises:
        `BenchError`: If it is neither none nor one that exists.
    """
    if control not in (None, SWAPPED):
        raise BenchError(f"`control` is {control!r}, expected {SWAPPED!r} or none")


def swap_pictures(originals: Mapping[str, str]) -> dict[str, str]:
    """Draws another picture for each picture, every picture being used once.

    Args:
        originals (`Mapping[str, str]`): Each picture's identifier, and that of the picture it was made from (its own,
            if it is no damaged copy): all versions of a picture count as the same.

    Returns:
        `dict[str, str]`: For each picture the one to show in its place, never a version of the same original.

    Raises:
        `BenchError`: If more than half of the pictures are versions of one.
    """
    largest = max(Counter(originals.values()).values(), default=0)
    if 2 * largest > len(originals):
        raise BenchError(
            f"pictures cannot be swapped: {largest} of {len(originals)} are versions of the same one, "
            "expected at most half"
        )
    shuffled = _shuffled_with_versions_together(originals)
    # every run of versions is at most `largest` long, so a shift by that much leaves each of them
    return {shuffled[i]: shuffled[(i + largest) % len(shuffled)] for i in range(len(shuffled))}


def _shuffled_with_versions_together(originals: Mapping[str, str]) -> list[str]:
    generator = random.Random(SEED)
    pictures = sorted(originals)
    generator.shuffle(pictures)
    place = {original: i for i, original in enumerate(dict.fromkeys(originals[picture] for picture in pictures))}
    return sorted(pictures, key=lambda picture: place[originals[picture]])
