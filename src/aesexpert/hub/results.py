"""AesBench results for a model's card: as the table of its text and as evaluation results that the Hub shows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from aesexpert.hub.errors import HubError
from aesexpert.taxonomy import Task


REPORT = "report.json"

_NAMES = {Task.PERCEPTION: "AesP", Task.EMPATHY: "AesE", Task.ASSESSMENT: "AesA", Task.INTERPRETATION: "AesI"}
_NOT_SCORED = "not scored"


def read_report(path: str | Path) -> dict[str, Any]:
    """Reads the report of `aesexpert bench report`.

    Args:
        path (`str` or `Path`): `report.json`, or the folder it lies in.

    Returns:
        `dict[str, Any]`: The report.

    Raises:
        `HubError`: If there is none.
    """
    file = Path(path) / REPORT if Path(path).is_dir() else Path(path)
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        return {"data": report["data"], "rows": report["rows"]}
    except OSError as error:
        raise HubError(f"{file} cannot be read ({error.strerror}); `aesexpert bench report` writes it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(f"{file} is no report of `aesexpert bench report`; name the {REPORT} that it wrote") from error


def own_row(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Finds a model's row in a report.

    Args:
        report (`Mapping[str, Any]`): The report.
        name (`str`): The name of the model's folder.

    Returns:
        `dict[str, Any]`: The row of that name, or the only one of a run without a control.

    Raises:
        `HubError`: If the report is about other models, or several.
    """
    runs = [row for row in report["rows"] if row["kind"] == "run" and not row["control"]]
    named = [row for row in runs if row["name"] == name] or runs
    if len(named) != 1:
        listed = ", ".join(row["name"] for row in runs) or "none"
        raise HubError(
            f"the report has no single run of {name} (its runs: {listed}); write a report of that run alone"
        )
    return named[0]


def evaluation_results(report: Mapping[str, Any], row: Mapping[str, Any]) -> list[EvalResult]:
    """Lists a model's scores as the Hub's evaluation results; what was not scored is left out.

    Args:
        report (`Mapping[str, Any]`): The report.
        row (`Mapping[str, Any]`): The model's row in it.

    Returns:
        `list[EvalResult]`: Accuracies in percent, AesI from 0 to 2, and the overall score in percent.
    """
    accuracies = {name: _percent(_accuracy(row, task)) for task, name in _NAMES.items()}
    scores = [(name, "accuracy", value) for name, value in accuracies.items() if value is not None]
    if row["interpretation"] is not None:
        scores.append(("AesI (judged, 0 to 2)", "aesbench", round(row["interpretation"], 3)))
    if row["overall"] is not None:
        scores.append(("AesBench overall", "aesbench", round(100 * row["overall"], 2)))
    return [
        EvalResult(
            task_type="image-text-to-text",
            dataset_type="aesbench",
            dataset_name=report["data"]["name"],
            metric_type=metric_type,
            metric_name=name,
            metric_value=value,
        )
        for name, metric_type, value in scores
    ]


def results_table(report: Mapping[str, Any]) -> str:
    """Writes the rows of a report, controls and baselines among them, as a Markdown table.

    Args:
        report (`Mapping[str, Any]`): The report.

    Returns:
        `str`: Accuracies in percent with 95 % intervals and the number of questions.
    """
    choice = [task for task in _NAMES if task is not Task.INTERPRETATION]
    header = ["", *(_NAMES[task] for task in choice), "AesI", "overall"]
    lines = ["| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    for row in report["rows"]:
        cells = [row["name"], *(_cell(_accuracy(row, task)) for task in choice)]
        cells.append(_NOT_SCORED if row["interpretation"] is None else f"{row['interpretation']:.3f}")
        cells.append(_NOT_SCORED if row["overall"] is None else f"{100 * row['overall']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _accuracy(row: Mapping[str, Any], task: Task) -> dict[str, Any] | None:
    return next((score for score in row["scores"] if score["task"] == task and score["by"] == "all"), None)


def _percent(score: Mapping[str, Any] | None) -> float | None:
    return None if score is None or score["value"] is None else round(100 * score["value"], 2)


def _cell(score: Mapping[str, Any] | None) -> str:
    value = _percent(score)
    if score is None or value is None:
        return _NOT_SCORED
    if score.get("low") is None:
        return f"{value:.2f}"
    return f"{value:.1f} ({100 * score['low']:.1f} to {100 * score['high']:.1f}; n = {score['n']})"
