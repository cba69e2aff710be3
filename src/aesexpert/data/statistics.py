"""What a data set holds, in the terms of the paper's Table 1 and figure 3."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import ClassLabel, List

from aesexpert.data.examples import describe
from aesexpert.data.features import ALL_FEATURES
from aesexpert.data.records import SourceFolder
from aesexpert.data.splits import by_split
from aesexpert.taxonomy import (
    DATASET_SOURCES,
    PAPER_SAMPLES,
    AnswerFormat,
    Dimension,
    FeedbackPart,
    Grade,
    InstructionKind,
    QuestionType,
    Source,
    SourceDataset,
    Split,
)


TOP_WORDS = 20
"""How many words figure 3 shows."""

_STOP_WORDS_TEXT = """
about above across after again against all almost along also although always among and another any are around away
because become becomes been before behind being below beneath between beyond both but can cannot could did does
doing down each either else enough even ever every everything few for from further give gives goes had hardly has
have having hence her here him himself his how however inside instead into its itself just keep keeps least leave
leaves less let lets like little look looks made make makes many may might more most much must near nearly neither
never nor not nothing now off often once one only onto other others our out over own per perhaps quite rather
really same seem seems several shall she should since some something still such take takes than that the their
them themselves then there therefore these they thing things this those though through thus together too toward
towards two under until upon very was well were what when where whether which while who whole whom whose why will
with within without would yes yet you your
"""

STOP_WORDS = frozenset(_STOP_WORDS_TEXT.split())
"""Words that say nothing about pictures, left out of the count of words like all words of one or two letters."""

_LABELS: dict[str, Iterable[str]] = {
    "splits": Split,
    "sources": Source,
    "datasets": SourceDataset,
    "scenes": (),
    "parts": FeedbackPart,
    "grades": Grade,
    "question_types": QuestionType,
    "dimensions": Dimension,
    "formats": AnswerFormat,
    "kinds": InstructionKind,
    "words": (),
}
"""What is counted, and the labels known beforehand: they are listed in their order, and also when there are none."""

_NOT_GIVEN = "not given"

_WORD = re.compile("[a-z]{3,}")


@dataclass(frozen=True)
class Statistics:
    """Counts of a data set, each by label.

    Args:
        pictures (`int`): How many pictures there are.
        splits (`dict[str, int]`): Pictures by split.
        sources (`dict[str, int]`): Pictures by source.
        datasets (`dict[str, int]`): Pictures by source data set (Table 1).
        scenes (`dict[str, int]`): Pictures by scene.
        parts (`dict[str, int]`): Critiques by part.
        grades (`dict[str, int]`): Critiques by grade.
        question_types (`dict[str, int]`): Question-answer pairs by type.
        dimensions (`dict[str, int]`): Question-answer pairs by dimension.
        formats (`dict[str, int]`): Question-answer pairs by format.
        kinds (`dict[str, int]`): Instructions by kind.
        words (`dict[str, int]`): The most frequent words of critiques and open-ended answers (figure 3).
    """

    pictures: int
    splits: dict[str, int]
    sources: dict[str, int]
    datasets: dict[str, int]
    scenes: dict[str, int]
    parts: dict[str, int]
    grades: dict[str, int]
    question_types: dict[str, int]
    dimensions: dict[str, int]
    formats: dict[str, int]
    kinds: dict[str, int]
    words: dict[str, int]

    def to_markdown(self) -> str:
        """Renders the counts as Markdown tables, with the paper's beside those of Table 1."""
        counted = [
            ("Pictures by split", self.splits),
            ("Pictures by scene", self.scenes),
            ("Critiques by part", self.parts),
            ("Critiques by grade", self.grades),
            ("Questions by type", self.question_types),
            ("Questions by dimension", self.dimensions),
            ("Questions by format", self.formats),
            ("Instructions by kind", self.kinds),
            (f"The {TOP_WORDS} most frequent words of critiques and open-ended answers", self.words),
        ]
        tables = [
            _sources_table(self.datasets),
            *(_table(title, counts) for title, counts in counted if any(counts.values())),
        ]
        return "\n\n".join(tables)


def source_statistics(source: SourceFolder) -> Statistics:
    """Counts what a source folder holds, with its pictures in the splits that building gives them.

    Args:
        source (`SourceFolder`): The source folder.

    Returns:
        `Statistics`: The counts.
    """
    splits = by_split(source.pictures)
    return _count((split, describe(source, picture)) for split, pictures in splits.items() for picture in pictures)


def dataset_statistics(folder: str | Path) -> Statistics:
    """Counts what a data set holds that [`~data.write_dataset`] wrote.

    Args:
        folder (`str` or `Path`): The data set's folder.

    Returns:
        `Statistics`: The counts.

    Raises:
        `FileNotFoundError`: If there is no such data set.
    """
    folder = Path(folder)
    if not any(folder.glob("data/*.parquet")):
        raise FileNotFoundError(f"{folder} has no data/*.parquet; name a folder that `write_dataset` wrote")
    return _count(read_rows(folder))


def read_rows(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the rows of a built data set without their pictures, each with its split, labels as texts."""
    columns = [name for name in ALL_FEATURES if name != "image"]
    for split in Split:
        for path in sorted(folder.glob(f"data/{split}-*.parquet")):
            for row in pq.read_table(path, columns=columns).to_pylist():
                yield split, {name: _with_names(ALL_FEATURES[name], row[name]) for name in columns}


def _with_names(feature: Any, value: Any) -> Any:
    """Puts the names of labels in place of their numbers."""
    if isinstance(feature, List):
        return [_with_names(feature.feature, entry) for entry in value]
    if isinstance(feature, dict):
        return {name: _with_names(inner, value[name]) for name, inner in feature.items()}
    if isinstance(feature, ClassLabel):
        return None if value is None else feature.int2str(value)
    return value


def _count(rows: Iterable[tuple[str, dict[str, Any]]]) -> Statistics:
    counters = {name: Counter(dict.fromkeys(map(str, labels), 0)) for name, labels in _LABELS.items()}
    pictures, texts = 0, set()
    for split, row in rows:
        pictures += 1
        counters["splits"][str(split)] += 1
        counters["sources"][row["source"] or _NOT_GIVEN] += 1
        counters["datasets"][row["dataset"]] += 1
        counters["scenes"][row["scene"] or _NOT_GIVEN] += 1
        counters["parts"].update(entry["part"] or _NOT_GIVEN for entry in row["feedbacks"])
        counters["grades"].update(entry["grade"] for entry in row["feedbacks"] if entry["grade"])
        counters["question_types"].update(entry["question_type"] for entry in row["questions"])
        counters["dimensions"].update(entry["dimension"] or _NOT_GIVEN for entry in row["questions"])
        counters["formats"].update(entry["format"] for entry in row["questions"])
        counters["kinds"].update(entry["kind"] for entry in row["instructions"])
        texts.update(_prose(row))
    for text in texts:
        counters["words"].update(word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS)
    counts = {name: dict(counter) for name, counter in counters.items()}
    counts["scenes"] = dict(_ranked(counters["scenes"]))
    counts["words"] = dict(_ranked(counters["words"])[:TOP_WORDS])
    return Statistics(pictures, **counts)


def _prose(row: dict[str, Any]) -> list[str]:
    """The texts in somebody's own words; the options of choice questions are not. A text counts once in the end."""
    answers = [entry["answer"] for entry in row["questions"] if entry["format"] == AnswerFormat.OPEN_ENDED]
    return [entry["critique"] for entry in row["feedbacks"]] + answers


def _ranked(counter: Counter[str]) -> list[tuple[str, int]]:
    """Most frequent first, and equally frequent ones by name, so that equal data give equal cards."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _table(title: str, counts: dict[str, int]) -> str:
    rows = "\n".join(f"| {label} | {count:,} |" for label, count in counts.items())
    return f"| {title} | |\n|---|--:|\n{rows}"


def _sources_table(datasets: dict[str, int]) -> str:
    rows = [
        f"| {DATASET_SOURCES.get(dataset, '')} | {dataset} | {datasets.get(dataset, 0):,} "
        f"| {PAPER_SAMPLES[dataset]:,} |"
        if dataset in PAPER_SAMPLES
        else f"| | {dataset} | {datasets.get(dataset, 0):,} | |"
        for dataset in SourceDataset
    ]
    total = f"| | all | {sum(datasets.values()):,} | {sum(PAPER_SAMPLES.values()):,} |"
    return "\n".join(["| Source | Data set | Pictures | The paper's |", "|---|---|--:|--:|", *rows, total])
