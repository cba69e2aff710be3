"""Confidence intervals for accuracies, by the bootstrap over pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


RESAMPLES, SEED, CONFIDENCE = 2000, 0, 0.95


@dataclass(frozen=True)
class Score:
    """An accuracy with its confidence interval.

    Args:
        n (`int`, *optional*): The number of questions behind it; none where a paper does not tell.
        value (`float`, *optional*): The share answered rightly; none without questions.
        low (`float`, *optional*): Lower end of the interval.
        high (`float`, *optional*): Upper end of the interval.
    """

    n: int | None
    value: float | None
    low: float | None
    high: float | None


def bootstrap_scores(
    right: NDArray[np.float64], asked: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = SEED
) -> list[Score]:
    """Computes the accuracies of several groups of questions with 95 % percentile intervals.

    Pictures are drawn with replacement, not questions: the questions about one picture are not independent. A draw
    without a question of a group says nothing about it and is left out.

    Args:
        right (`NDArray[np.float64]`): How many questions were answered rightly, of shape `(pictures, groups)`.
        asked (`NDArray[np.float64]`): How many were asked, of the same shape.
        resamples (`int`, *optional*, defaults to 2000): How many draws.
        seed (`int`, *optional*, defaults to 0): The seed of the draws.

    Returns:
        `list[Score]`: One score a group.
    """
    pictures = len(asked)
    draws = np.random.default_rng(seed).integers(pictures, size=(resamples, pictures))
    # how often each draw has each picture, so that all groups are two matrix products
    places = draws + np.arange(resamples)[:, None] * pictures
    weights = np.bincount(places.ravel(), minlength=resamples * pictures).reshape(resamples, pictures).astype(float)
    with np.errstate(invalid="ignore"):
        accuracies = (weights @ right) / (weights @ asked)
    return [
        _score(accuracies[:, group], right[:, group].sum(), int(asked[:, group].sum()))
        for group in range(right.shape[1])
    ]


def _score(accuracies: NDArray[np.float64], right: float, n: int) -> Score:
    if not n:
        return Score(0, None, None, None)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(accuracies, [tail, 100 - tail])
    return Score(n, float(right / n), float(low), float(high))
