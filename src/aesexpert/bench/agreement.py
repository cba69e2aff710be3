"""How far a judge agrees with itself from round to round, and whether it likes long answers."""

from collections.abc import Mapping, Sequence
from statistics import StatisticsError, correlation, fmean, pstdev
from typing import Any

from aesexpert.llm.errors import needs_extra
from aesexpert.taxonomy import Criterion


Rounds = Sequence[Mapping[str, float]]
"""The scores of one answer, round by round, by criterion."""


def agreement(rounds: Sequence[Rounds]) -> dict[str, dict[str, float | None]]:
    """Measures the agreement between rounds.

    Args:
        rounds (`Sequence[Sequence[Mapping[str, float]]]`): The scores of every answer.

    Returns:
        `dict[str, dict[str, float | None]]`: For every criterion `standard_deviation`, the mean over answers of that
        between rounds, and `alpha`, Krippendorff's for interval data; `None` where all scores are equal, which leaves
        nothing to agree about.
    """
    return {
        criterion.value: {
            "standard_deviation": fmean(pstdev(scores[criterion] for scores in answer) for answer in rounds),
            "alpha": _alpha([[scores[criterion] for scores in answer] for answer in rounds]),
        }
        for criterion in Criterion
    }


def _alpha(scores: Sequence[Sequence[float]]) -> float | None:
    with needs_extra("llm"):
        from nltk.metrics import interval_distance
        from nltk.metrics.agreement import AnnotationTask
    rated = [answer for answer in scores if len(answer) > 1]
    if len({score for answer in rated for score in answer}) < 2:
        return None
    data = [(number, item, score) for item, answer in enumerate(rated) for number, score in enumerate(answer)]
    return float(AnnotationTask(data, distance=interval_distance).alpha())


def length_dependence(responses: Sequence[str], means: Sequence[float]) -> dict[str, Any]:
    """Measures how scores go with the length of answers.

    Args:
        responses (`Sequence[str]`): The answers.
        means (`Sequence[float]`): Their scores, averaged over rounds and criteria.

    Returns:
        `dict[str, Any]`: `correlation` (Pearson's) of score and number of words, `None` where one of them does not
        vary, and `mean_words`.
    """
    words = [float(len(response.split())) for response in responses]
    try:
        dependence: float | None = correlation(words, list(means))
    except StatisticsError:
        dependence = None
    return {"correlation": dependence, "mean_words": fmean(words)}
