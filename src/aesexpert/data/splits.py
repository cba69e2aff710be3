"""Which pictures belong to which split, and which of the training pictures are held out for validation."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from aesexpert.data.records import Picture
from aesexpert.taxonomy import Split


VALIDATION_ORIGINALS = 10
"""How many originals are held out."""

VALIDATION_SHARE = 5
"""At most one training original in so many is held out, so that small folders keep pictures to train on."""


def with_validation(pictures: Sequence[Picture]) -> list[Picture]:
    """Holds ten of the training originals out for validation, each with all pictures made from it.

    The ten are those whose `image_id` has the smallest SHA-256, so they depend neither on the order of rows nor, but
    for their own number, on other pictures. Of fewer than fifty originals a fifth is held out, at least one, and of a
    single one none. Pictures whose `degradation` column names a damage are no originals, but follow theirs. A folder
    that has validation pictures already keeps its own.

    Args:
        pictures (`Sequence[Picture]`): All pictures of a source folder.

    Returns:
        `list[Picture]`: The same pictures in the same order, some of them moved from `train` to `validation`.
    """
    if any(picture.split is Split.VALIDATION for picture in pictures):
        return list(pictures)
    originals = {picture.original for picture in pictures if picture.split is Split.TRAIN and not picture.is_damaged}
    if len(originals) < 2:
        return list(pictures)
    count = min(VALIDATION_ORIGINALS, max(1, len(originals) // VALIDATION_SHARE))
    held_out = set(sorted(originals, key=lambda image_id: sha256(image_id.encode()).digest())[:count])
    return [
        replace(picture, split=Split.VALIDATION)
        if picture.split is Split.TRAIN and picture.original in held_out
        else picture
        for picture in pictures
    ]


def by_split(pictures: Sequence[Picture]) -> dict[Split, list[Picture]]:
    """Groups pictures by split after `with_validation`: train, validation, test, without those that are empty.

    Args:
        pictures (`Sequence[Picture]`): All pictures of a source folder.

    Returns:
        `dict[Split, list[Picture]]`: The pictures of each split, in their order.
    """
    divided = with_validation(pictures)
    groups = {split: [picture for picture in divided if picture.split is split] for split in Split}
    return {split: group for split, group in groups.items() if group}
