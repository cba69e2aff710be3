"""Figure 1 of the paper, drawn from a report."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from aesexpert.bench.results import Results
from aesexpert.bench.scores import Group, Row
from aesexpert.taxonomy import EmpathyDimension, PerceptionDimension, Task


_AXES = [
    *(Group(Task.PERCEPTION, "dimension", label) for label in PerceptionDimension),
    *(Group(Task.EMPATHY, "dimension", label) for label in EmpathyDimension),
    Group(Task.ASSESSMENT, "all", ""),
]
_INTERPRETATION = Group(Task.INTERPRETATION, "all", "")

# the colours of Okabe and Ito, which colour-blind people can tell apart too
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
_LINES = ["-", "--", "-.", ":"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


def radar_axes(results: Results) -> list[Group]:
    """Lists the axes of the radar chart.

    Args:
        results (`Results`): The scores.

    Returns:
        `list[Group]`: The eight dimensions and AesA as far as they were asked, and AesI if it was judged.
    """
    runs = _runs(results)
    axes = [group for group in _AXES if any(group in row.scores for row in runs)]
    judged = any(row.interpretation is not None for row in runs)
    return [*axes, _INTERPRETATION] if judged else axes


def _runs(results: Results) -> list[Row]:
    return [row for row in results.rows if row.kind == "run"]


def write_radar(results: Results, file: Path) -> None:
    """Draws accuracies by dimension as a radar chart, a line for every run.

    AesI, which goes from 0 to 2, is drawn as a share of 2.

    Args:
        results (`Results`): The scores.
        file (`Path`): The PNG file to write.
    """
    groups = radar_axes(results)
    angles = np.linspace(0, 2 * np.pi, len(groups), endpoint=False)
    figure = Figure(figsize=(8, 8.5), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.17, 0.2, 0.66, 0.66), projection="polar")
    assert isinstance(axes, PolarAxes)
    _prepare(axes, angles, [_label(group) for group in groups])
    for i, row in enumerate(_runs(results)):
        values = [_value(row, group) for group in groups]
        line = axes.plot(
            [*angles, angles[0]], [*values, values[0]], linewidth=2, markersize=6, label=row.name, clip_on=False
        )[0]
        line.set(
            color=_COLOURS[i % len(_COLOURS)], linestyle=_LINES[i % len(_LINES)], marker=_MARKERS[i % len(_MARKERS)]
        )
    figure.suptitle(f"AesBench by dimension: {results.data}, {results.pictures} pictures", fontsize=13, y=0.94)
    figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.14), ncols=2, frameon=False, fontsize=11)
    # no version of the drawing library in the file: the same scores give the same bytes
    figure.savefig(file, metadata={"Software": None}, bbox_inches="tight", pad_inches=0.3)


def _prepare(axes: PolarAxes, angles: np.ndarray, labels: list[str]) -> None:
    axes.set_theta_offset(np.pi / 2)
    axes.set_theta_direction(-1)
    axes.set_ylim(0, 100)
    axes.set_yticks([20, 40, 60, 80, 100], ["20", "40", "60", "80", "100 %"], fontsize=9, color="#555555")
    # between two axes, where no line has a corner
    axes.set_rlabel_position(np.degrees(angles[1]) / 2)
    axes.set_xticks(angles, labels, fontsize=12)
    for angle, text in zip(angles, axes.get_xticklabels(), strict=True):
        side = np.sin(angle).round(3)
        text.set_horizontalalignment("left" if side > 0 else "right" if side < 0 else "center")
    axes.tick_params(axis="x", pad=8)
    axes.grid(color="#cccccc", linewidth=0.8)
    axes.spines["polar"].set_color("#cccccc")


def _label(group: Group) -> str:
    names = {Task.ASSESSMENT: "Assessment\n(AesA)", Task.INTERPRETATION: "Interpretation\n(AesI)"}
    words = group.label.capitalize().replace("Color and", "Color and\n").replace("Technical ", "Technical\n")
    return names.get(Task(group.task), words.replace("\n ", "\n"))


def _value(row: Row, group: Group) -> float:
    if group == _INTERPRETATION:
        value = None if row.interpretation is None else row.interpretation / 2
    else:
        value = row.value(group)
    return np.nan if value is None else 100 * value
