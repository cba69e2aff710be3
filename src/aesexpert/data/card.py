"""The card of a data set: what it holds, under which licences, and how to load it."""

import re
from collections import Counter
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData

from aesexpert.data.features import CONFIGS, FEATURES
from aesexpert.data.records import SourceFolder
from aesexpert.data.source import SOURCES
from aesexpert.data.statistics import Statistics, source_statistics


CARD = "README.md"

_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]

_NO_LICENCE = "not given"


def write_card(source: SourceFolder, folder: Path, template: str | Path) -> None:
    """Writes the card of a data set whose Parquet files lie in a folder.

    The counts come from the data, the licences from the `licence` column of `sources.csv`, and what is to be said
    about the origin of pictures and texts from the `README.md` of the source folder, where there is one.

    Args:
        source (`SourceFolder`): What the data set was written from.
        folder (`Path`): The data set's folder.
        template (`str` or `Path`): The card's Jinja template.
    """
    statistics = source_statistics(source)
    card = DatasetCard.from_template(
        _card_data(source, statistics, _fingerprint(folder)),
        template_path=str(template),
        pictures=statistics.pictures,
        instructions=sum(statistics.kinds.values()),
        statistics=statistics.to_markdown(),
        licences=_licences(source),
        about=_about(source.path / CARD),
    )
    card.save(folder / CARD)


def _fingerprint(folder: Path) -> str:
    """Digests the data files. `load_dataset` caches a folder by its card alone: other data need another card."""
    digest = sha256()
    for path in sorted(folder.glob("data/*.parquet")):
        with path.open("rb") as file:
            digest.update(file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _card_data(source: SourceFolder, statistics: Statistics, fingerprint: str) -> DatasetCardData:
    configs: list[dict[str, Any]] = [
        {
            "config_name": config,
            "description": f"SHA-256 of the data: {fingerprint}",
            "columns": list(FEATURES[config]),
            "data_files": [
                {"split": split, "path": f"data/{split}-*"} for split, count in statistics.splits.items() if count
            ],
        }
        for config in CONFIGS
    ]
    configs[0]["default"] = True
    data = DatasetCardData(
        pretty_name="AesMMIT",
        language="en",
        task_categories=["image-text-to-text", "visual-question-answering"],
        tags=["aesmmit", "image-aesthetics"],
        size_categories=next((name for limit, name in _SIZES if statistics.pictures < limit), "1M<n<10M"),
        configs=configs,
    )
    for name, value in _licence_data(source).items():
        data[name] = value
    DatasetInfosDict({config: DatasetInfo(features=FEATURES[config]) for config in CONFIGS}).to_dataset_card_data(data)
    return data


def _licence_data(source: SourceFolder) -> dict[str, str]:
    if set(_licences(source)) == {_NO_LICENCE}:
        return {"license": "unknown"}
    return {"license": "other", "license_name": "licences-of-the-pictures", "license_link": SOURCES}


def _licences(source: SourceFolder) -> dict[str, int]:
    """Pictures by licence, the most frequent first."""
    counter = Counter(picture.extra.get("licence") or _NO_LICENCE for picture in source.pictures)
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _about(path: Path) -> str:
    """The source folder's description without its title, its headings one level down."""
    if not path.is_file():
        return ""
    text = re.sub(r"\A# .*\n", "", path.read_text(encoding="utf-8"))
    return re.sub(r"^(#{2,5} )", r"#\1", text, flags=re.MULTILINE).strip()
