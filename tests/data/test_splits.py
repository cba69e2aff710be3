from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aesexpert.data import by_split, read_source, with_validation
from aesexpert.data.records import Picture
from aesexpert.taxonomy import Source, SourceDataset, Split


DEMO = Path(__file__).parents[2] / "dataset_scripts" / "demo"


def picture(image_id: str, split: Split = Split.TRAIN, **extra: str) -> Picture:
    return Picture(image_id, Path(image_id), split, Source.NI, SourceDataset.OTHER, "", extra)


def validation(pictures: list[Picture]) -> set[str]:
    return {entry.image_id for entry in with_validation(pictures) if entry.split is Split.VALIDATION}


@pytest.mark.parametrize(
    ("originals", "held_out"), [(0, 0), (1, 0), (2, 1), (9, 1), (10, 2), (49, 9), (50, 10), (500, 10)]
)
def test_how_many_are_held_out(originals: int, held_out: int):
    assert len(validation([picture(str(number)) for number in range(originals)])) == held_out


def test_ten_originals_of_the_demo():
    pictures = read_source(DEMO).pictures
    chosen = validation(pictures)
    originals = [entry for entry in pictures if entry.image_id in chosen and entry.extra["degradation"] == "none"]
    assert len(originals) == 10
    assert len(by_split(pictures)[Split.TEST]) == 37


def test_copies_follow_their_original():
    originals = [picture(f"p{number}") for number in range(20)]
    copies = [picture(f"p{number}_blur", original=f"p{number}", degradation="blur:2") for number in range(20)]
    chosen = validation([*originals, *copies])
    assert len(chosen) == 8
    assert {f"{image_id}_blur" for image_id in validation(originals)} == chosen - validation(originals)


def test_damaged_pictures_without_their_original_are_not_chosen():
    pictures = [picture(f"p{number}", degradation="none" if number < 10 else "blur:2") for number in range(50)]
    assert validation(pictures) <= {f"p{number}" for number in range(10)}


def test_test_pictures_and_their_copies_stay():
    pictures = [picture(f"t{number}", Split.TEST) for number in range(30)] + [picture("a"), picture("b")]
    assert validation(pictures) < {"a", "b"}


def test_validation_pictures_of_the_folder_are_kept():
    pictures = [picture(f"p{number}") for number in range(20)] + [picture("v", Split.VALIDATION)]
    assert with_validation(pictures) == pictures


@given(st.permutations([f"p{number}" for number in range(15)]), st.integers(0, 14))
def test_choice_depends_on_nothing_but_the_names(order: list[str], left_out: int):
    chosen = validation([picture(image_id) for image_id in sorted(order)])
    assert validation([picture(image_id) for image_id in order]) == chosen
    fewer = [picture(image_id) for image_id in order[:left_out] + order[left_out + 1 :]]
    assert len(validation(fewer) & chosen) >= min(len(validation(fewer)), len(chosen)) - 1


def test_order_is_kept():
    pictures = [picture(f"p{number}") for number in range(20)]
    divided = with_validation(pictures)
    assert [replace(entry, split=Split.TRAIN) for entry in divided] == pictures
    splits = by_split([picture("t", Split.TEST), *pictures])
    assert list(splits) == [Split.TRAIN, Split.VALIDATION, Split.TEST]
    assert Split.VALIDATION not in by_split([picture("a"), picture("t", Split.TEST)])
