import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aesexpert.bench.control import check_control, swap_pictures
from aesexpert.bench.errors import BenchError


@st.composite
def pictures_with_originals(draw: st.DrawFn) -> dict[str, str]:
    """Pictures of which no more than half are versions of one."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=12))
    largest = min(max(sizes), sum(sizes) - max(sizes))
    sizes[sizes.index(max(sizes))] = largest
    return {
        f"{original}" if version == 0 else f"{original}_damaged_{version}": f"{original}"
        for original, size in enumerate(sizes)
        for version in range(size)
    }


@given(pictures_with_originals())
def test_nobody_keeps_a_version_of_its_picture(originals: dict[str, str]) -> None:
    shown = swap_pictures(originals)
    assert set(shown) == set(originals)
    assert sorted(shown.values()) == sorted(originals)
    assert all(originals[picture] != originals[other] for picture, other in shown.items())


@given(pictures_with_originals(), st.randoms())
def test_order_does_not_matter(originals: dict[str, str], generator: random.Random) -> None:
    shuffled = list(originals.items())
    generator.shuffle(shuffled)
    assert swap_pictures(dict(shuffled)) == swap_pictures(originals)


def test_pictures_are_drawn_from_all_over() -> None:
    names = [f"{number:03}" for number in range(200)]
    shown = swap_pictures({name: name for name in names})
    distances = {(int(other) - int(name)) % 200 for name, other in shown.items()}
    assert len(distances) > 50


@pytest.mark.parametrize("originals", [{"a": "a"}, {"a": "a", "b": "a", "c": "c"}])
def test_too_many_versions_of_one_picture_cannot_be_swapped(originals: dict[str, str]) -> None:
    with pytest.raises(BenchError, match=f"of {len(originals)} are versions of the same"):
        swap_pictures(originals)


def test_unknown_control_is_named() -> None:
    with pytest.raises(BenchError, match="`control` is 'blurred', expected 'swapped'"):
        check_control("blurred")
