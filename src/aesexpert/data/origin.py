"""Which data set of Table 1 a picture's name tells it is from."""

import re
from pathlib import PurePosixPath

from aesexpert.taxonomy import DATASET_SOURCES, Source, SourceDataset


def _plain(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


# Besides their own names: what files of the releases call them.
_NAMES = {_plain(dataset): dataset for dataset in SourceDataset if dataset is not SourceDataset.OTHER}
_NAMES |= {"koniq": SourceDataset.KONIQ_10K, "tad": SourceDataset.TAD66K}


def origin_of(path: str) -> tuple[SourceDataset, Source | None]:
    """Tells where a picture is from by its folders and the beginning of its name.

    Args:
        path (`str`): Its path in an archive, such as `"images/baid_18347.jpg"` or `"AADB/7.jpg"`.

    Returns:
        `tuple[SourceDataset, Source]`: The data set, `other` if the name does not tell; the source, none if neither
        the name nor a folder of the source's name (`NI`, `AI`, `AGI`) tells.
    """
    pure = PurePosixPath(path)
    pieces = re.split(r"[_\s]+|(?<=\D)-(?=\d)", pure.stem)
    beginnings = [_plain("".join(pieces[:count])) for count in (2, 1)]
    for name in [*beginnings, *(_plain(part) for part in reversed(pure.parts[:-1]))]:
        if name in _NAMES:
            return _NAMES[name], DATASET_SOURCES[_NAMES[name]]
    named = [Source(part) for part in pure.parts[:-1] if part in list(Source)]
    return SourceDataset.OTHER, named[-1] if named else None
