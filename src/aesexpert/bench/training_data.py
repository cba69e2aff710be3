"""Figure 4 of the paper: what models answer that were tuned on different data (section 5.4)."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aesexpert.bench.errors import BenchError
from aesexpert.bench.markdown import NOTHING
from aesexpert.bench.results import Results, read_results
from aesexpert.bench.scores import Group, Row
from aesexpert.taxonomy import CHOICE_TASKS, Criterion, Task


MARKDOWN, CHART = "training-data.md", "training-data.png"
# Okabe and Ito's colours, which colour-blind people can tell apart too
_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7")


class Column(NamedTuple):
    """What is compared.

    Args:
        name (`str`): What the report calls it.
        values (`tuple[float | None, ...]`): A value a run, none where it was not measured.
        top (`float`): The largest value there can be.
    """

    name: str
    values: tuple[float | None, ...]
    top: float


def write_training_data_report(folders: Collection[str | Path], out: str | Path) -> list[Column]:
    """Compares runs by the three criteria of AesI, as figure 4 does, and by the choice tasks that were asked.

    Args:
        folders (`Collection[str` or `Path]`): Run folders over the same data, a model each.
        out (`str` or `Path`): Takes `training-data.md` and `training-data.png`.

    Returns:
        `list[Column]`: What was compared.

    Raises:
        `BenchError`: If there are less than two runs, or nothing was measured in all of them.
    """
    results = read_results(folders)
    runs = [row for row in results.rows if row.kind == "run"]
    if len(runs) < 2:
        raise BenchError(f"there is nothing to compare: {len(runs)} run, expected two or more")
    columns = [column for column in _columns(runs) if any(value is not None for value in column.values)]
    if not columns:
        raise BenchError("these runs have neither judged nor scored answers in common")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKDOWN).write_text(_markdown(results, runs, columns), encoding="utf-8")
    _draw(results, runs, columns, folder / CHART)
    return columns


def _columns(runs: Sequence[Row]) -> list[Column]:
    judged = [
        Column(f"AesI {name}", tuple(row.metric.get(f"{Task.INTERPRETATION}{part}") for row in runs), 2)
        for name, part in [*((criterion.value, f"/{criterion}") for criterion in Criterion), ("mean", "")]
    ]
    scored = [
        Column(f"{task.value} accuracy", tuple(row.value(Group(task.value, "all", "")) for row in runs), 1)
        for task in CHOICE_TASKS
    ]
    return judged + scored


def _markdown(results: Results, runs: Sequence[Row], columns: Sequence[Column]) -> str:
    lines = [
        "# Models tuned on different data (section 5.4, figure 4)",
        "",
        f"{results.data}, {results.pictures} pictures. AesI is judged from 0 to 2; accuracies are in %.",
        "",
        f"| run | {' | '.join(column.name for column in columns)} |",
        f"|---|{'--:|' * len(columns)}",
    ]
    for number, row in enumerate(runs):
        lines.append(f"| {row.name} | {' | '.join(_shown(column, number) for column in columns)} |")
    lines += ["", f"![The same values as bars]({CHART})"]
    if not any(column.top == 2 for column in columns):
        lines += [
            "",
            "AesI was not judged, so the criteria of figure 4 are missing; `aesexpert bench judge` adds them.",
        ]
    return "\n".join(lines) + "\n"


def _shown(column: Column, number: int) -> str:
    value = column.values[number]
    if value is None:
        return NOTHING
    return f"{value:.3f}" if column.top == 2 else f"{100 * value:.1f}"


def _draw(results: Results, runs: Sequence[Row], columns: Sequence[Column], file: Path) -> None:
    figure = Figure(figsize=(2 + 1.4 * len(columns), 4.5), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(runs)
    places = np.arange(len(columns))
    for number, row in enumerate(runs):
        shares = [np.nan if (v := column.values[number]) is None else 100 * v / column.top for column in columns]
        bars = axes.bar(
            places - 0.4 + width * (number + 0.5), shares, width * 0.92, label=row.name, color=_COLOURS[number % 4]
        )
        axes.bar_label(bars, [_shown(column, number) for column in columns], fontsize=8)
    axes.set_xticks(places, [column.name.replace(" ", "\n") for column in columns])
    axes.set_ylim(0, 110)
    axes.set_ylabel("% of the largest value there can be")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{results.data}, {results.pictures} pictures")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=min(len(runs), 3))
    # no version of the drawing library in the file: the same scores give the same bytes
    figure.savefig(file, metadata={"Software": None}, bbox_inches="tight")
