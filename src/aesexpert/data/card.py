"""The card of a data set: what it holds, under which licences, and how to load it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData

from aesexpert.data.card_template import render_card
from aesexpert.data.features import CONFIGS, FEATURES
from aesexpert.data.problems import Problem, SourceError
from aesexpert.data.rows import read_csv
from aesexpert.data.source import SOURCES
from aesexpert.data.statistics import Statistics, dataset_statistics, read_rows


CARD = "README.md"

ORIGIN = "Where it comes from"
"""The heading of the section that the source folder's own description fills."""

OTHER_LICENCE = "other"
"""The Hub's name for a licence that is none of its list; here it means: each picture's own."""

_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]

_NO_LICENCE = "not given"


@dataclass(frozen=True)
class DatasetFacts:
    """What a card says of a data set, read from its files.

    Args:
        statistics (`Statistics`): The counts.
        licences (`dict[tuple[str, str], int]`): Pictures by source data set and licence, the most frequent first.
        annotators (`int`): How many pseudonyms the critiques have.
        sample (`str`): One row without its picture, as JSON.
        files (`int`): How many Parquet files there are.
        size (`int`): Their size in bytes.
    """

    statistics: Statistics
    licences: dict[tuple[str, str], int]
    annotators: int
    sample: str
    files: int
    size: int


def read_facts(folder: Path) -> DatasetFacts:
    """Reads what a card says of a data set. Pictures are not read.

    Args:
        folder (`Path`): The data set's folder, without or with a card.

    Returns:
        `DatasetFacts`: The facts.

    Raises:
        `FileNotFoundError`: If there is no such data set.
        `SourceError`: If its `sources.csv` cannot be read.
    """
    statistics = dataset_statistics(folder)
    rows = [row for _, row in read_rows(folder)]
    files = sorted(folder.glob("data/*.parquet"))
    return DatasetFacts(
        statistics=statistics,
        licences=_licences(folder / SOURCES),
        annotators=len({entry["annotator"] for row in rows for entry in row["feedbacks"]}),
        sample=_sample(rows),
        files=len(files),
        size=sum(file.stat().st_size for file in files),
    )


def dataset_card(
    facts: DatasetFacts,
    template: str | Path,
    *,
    fingerprint: str,
    about: str,
    licence: str | None = None,
    data_sources: Sequence[str] = (),
) -> DatasetCard:
    """Writes the card of a data set.

    Args:
        facts (`DatasetFacts`): What the data set holds.
        template (`str` or `Path`): The card's Jinja template.
        fingerprint (`str`): Tells states of the data apart: `load_dataset` caches a folder by its card alone.
        about (`str`): What is to be said about the origin of pictures and texts, as Markdown; can be empty.
        licence (`str`, *optional*):
            The licence's name on the Hub. By default `"other"`, the pictures' own, or `"unknown"` if they have none.
        data_sources (`Sequence[str]`, *optional*): Where the data comes from, for the card of a published data set.

    Returns:
        `DatasetCard`: The card.

    Raises:
        `CardError`: If the template asks for more.
    """
    return render_card(
        DatasetCard,
        _card_data(facts, fingerprint, licence),
        template,
        pictures=facts.statistics.pictures,
        instructions=sum(facts.statistics.kinds.values()),
        statistics=facts.statistics.to_markdown(),
        licences=facts.licences,
        annotators=facts.annotators,
        sample=facts.sample,
        files=facts.files,
        size=facts.size,
        about=about,
        data_sources=list(data_sources),
    )


def write_card(folder: Path, template: str | Path, about: str = "") -> None:
    """Writes the card of a data set whose other files lie in a folder.

    Args:
        folder (`Path`): The data set's folder.
        template (`str` or `Path`): The card's Jinja template.
        about (`str`, *optional*, defaults to `""`): The origin of pictures and texts.
    """
    digests = [_digest(path) for path in sorted(folder.glob("data/*.parquet"))]
    dataset_card(read_facts(folder), template, fingerprint=fingerprint(digests), about=about).save(folder / CARD)


def fingerprint(digests: Iterable[bytes]) -> str:
    """Digests the SHA-256 digests of the data files, in the order of their names."""
    return sha256(b"".join(digests)).hexdigest()


def source_description(path: Path) -> str:
    """Reads a source folder's description without its title, its headings one level down; empty if there is none."""
    if not path.is_file():
        return ""
    text = re.sub(r"\A# .*\n", "", path.read_text(encoding="utf-8"))
    return re.sub(r"^(#{2,5} )", r"#\1", text, flags=re.MULTILINE).strip()


def origin_in_card(path: Path) -> str:
    """Reads the origin of pictures and texts back from a card; empty if it has no such section."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    section = re.search(rf"^## {ORIGIN}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return section[1].strip() if section else ""


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()


def _card_data(facts: DatasetFacts, fingerprint: str, licence: str | None) -> DatasetCardData:
    splits = facts.statistics.splits
    configs: list[dict[str, Any]] = [
        {
            "config_name": config,
            "description": f"SHA-256 of the data: {fingerprint}",
            "columns": list(FEATURES[config]),
            "data_files": [{"split": split, "path": f"data/{split}-*"} for split, count in splits.items() if count],
        }
        for config in CONFIGS
    ]
    configs[0]["default"] = True
    data = DatasetCardData(
        pretty_name="AesMMIT",
        language="en",
        task_categories=["image-text-to-text", "visual-question-answering"],
        tags=["aesmmit", "image-aesthetics"],
        size_categories=next((name for limit, name in _SIZES if facts.statistics.pictures < limit), "1M<n<10M"),
        configs=configs,
    )
    for name, value in _licence_data(facts, licence).items():
        data[name] = value
    DatasetInfosDict({config: DatasetInfo(features=FEATURES[config]) for config in CONFIGS}).to_dataset_card_data(data)
    return data


def _licence_data(facts: DatasetFacts, licence: str | None) -> dict[str, str]:
    if licence is None:
        given = {licence for _, licence in facts.licences} != {_NO_LICENCE}
        licence = OTHER_LICENCE if given else "unknown"
    if licence != OTHER_LICENCE:
        return {"license": licence}
    return {"license": licence, "license_name": "licences-of-the-pictures", "license_link": SOURCES}


def _licences(path: Path) -> dict[tuple[str, str], int]:
    problems: list[Problem] = []
    rows = [row.values for row in read_csv(path, ("dataset",), problems)]
    if problems:
        raise SourceError(path.parent, problems)
    counter = Counter((row["dataset"], row.get("licence") or _NO_LICENCE) for row in rows)
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _sample(rows: Sequence[dict[str, Any]]) -> str:
    """The first row that has instructions, its lists cut to their first entry."""
    row = next((row for row in rows if row["instructions"]), rows[0])
    short = {name: value[:1] if isinstance(value, list) else value for name, value in row.items()}
    return json.dumps(short, indent=2, ensure_ascii=False)
