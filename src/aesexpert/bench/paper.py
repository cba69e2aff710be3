"""The paper's own results, as rows beside those of runs."""

import csv
from importlib.resources import files

from aesexpert.bench.scores import Group, Row
from aesexpert.bench.statistics import Score
from aesexpert.taxonomy import CHOICE_TASKS, EmpathyDimension, PerceptionDimension, Task


TABLE3 = "paper_table3.csv"


def paper_rows() -> list[Row]:
    """Reads Table 3 of the paper.

    Returns:
        `list[Row]`: Its 19 rows in the order of print, without intervals and numbers of questions, which it lacks.
    """
    text = files("aesexpert.bench").joinpath(TABLE3).read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [_to_row(row) for row in rows]


def _to_row(row: dict[str, str]) -> Row:
    columns = {Group(task, "all", ""): task.value for task in CHOICE_TASKS}
    dimensions = {Task.PERCEPTION: PerceptionDimension, Task.EMPATHY: EmpathyDimension}
    for task, labels in dimensions.items():
        columns |= {Group(task, "dimension", label): label.replace(" ", "_") for label in labels}
    return Row(
        name=row["model"],
        kind="paper",
        control=None,
        scores={group: Score(None, _fraction(row[column]), None, None) for group, column in columns.items()},
        unreadable={},
        interpretation=float(row["interpretation"]),
        overall=_fraction(row["overall"]),
        asked_interpretation=True,
        metric={},
    )


def _fraction(percentage: str) -> float:
    return round(float(percentage) / 100, 4)
