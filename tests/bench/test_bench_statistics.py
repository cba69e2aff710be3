import random

import numpy as np
import pytest

from aesexpert.bench.statistics import bootstrap_scores


def percentile(values: list[float], share: float) -> float:
    """The percentile with linear interpolation between neighbours."""
    values = sorted(values)
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def plain_bootstrap(right: list[int], asked: list[int], resamples: int, seed: int) -> tuple[float, float]:
    """The same draws, picture by picture in loops."""
    draws = np.random.default_rng(seed).integers(len(asked), size=(resamples, len(asked)))
    accuracies = []
    for draw in draws:
        n = sum(asked[picture] for picture in draw)
        if n:
            accuracies.append(sum(right[picture] for picture in draw) / n)
    return percentile(accuracies, 0.025), percentile(accuracies, 0.975)


def test_agrees_with_plain_loops() -> None:
    generator = random.Random(3)
    asked = [[generator.randint(0, 3), generator.randint(0, 1)] for _ in range(23)]
    right = [[generator.randint(0, n) for n in row] for row in asked]
    scores = bootstrap_scores(np.array(right, float), np.array(asked, float), resamples=300, seed=5)
    for group, score in enumerate(scores):
        mine, all_mine = [row[group] for row in right], [row[group] for row in asked]
        assert score.n == sum(all_mine)
        assert score.value == pytest.approx(sum(mine) / sum(all_mine))
        assert (score.low, score.high) == pytest.approx(plain_bootstrap(mine, all_mine, 300, 5))


def test_agrees_with_the_normal_approximation() -> None:
    right = (np.arange(2000) % 10 < 7).astype(float)[:, None]
    score = bootstrap_scores(right, np.ones_like(right))[0]
    width = 1.96 * (0.7 * 0.3 / 2000) ** 0.5
    assert (score.low, score.high) == pytest.approx((0.7 - width, 0.7 + width), abs=0.002)


def test_questions_about_one_picture_count_as_one_observation() -> None:
    right = (np.arange(100) % 2).astype(float)[:, None]
    alone, thrice = (bootstrap_scores(right * n, np.full_like(right, n))[0] for n in (1, 3))
    assert (alone.low, alone.high) == (thrice.low, thrice.high)
    assert (alone.n, thrice.n) == (100, 300)


def test_repeats_itself() -> None:
    right = np.random.default_rng(0).integers(2, size=(50, 4)).astype(float)
    assert bootstrap_scores(right, np.ones_like(right)) == bootstrap_scores(right, np.ones_like(right))


def test_extremes() -> None:
    perfect, never = np.ones((5, 1)), np.zeros((5, 1))
    assert bootstrap_scores(perfect, perfect)[0].low == 1.0
    assert bootstrap_scores(never, perfect)[0].high == 0.0
    assert bootstrap_scores(never, never)[0].value is None
