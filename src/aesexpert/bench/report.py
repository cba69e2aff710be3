"""Writing the report of AesBench: Markdown, CSV, JSON and a chart, from run folders alone."""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aesexpert.bench.errors import BenchError
from aesexpert.bench.figures import radar_axes, write_radar
from aesexpert.bench.folder import write_json
from aesexpert.bench.markdown import to_markdown
from aesexpert.bench.results import Results, read_results
from aesexpert.bench.scores import Row
from aesexpert.bench.statistics import CONFIDENCE, RESAMPLES, SEED
from aesexpert.taxonomy import Criterion


MARKDOWN, TABLE, JSON, RADAR = "report.md", "report.csv", "report.json", "radar.png"

_COLUMNS = ("name", "kind", "control", "task", "by", "label", "n", "value", "low", "high", "unreadable")


def write_report(folders: Collection[str | Path], out: str | Path | None = None, paper: bool = False) -> Results:
    """Writes the report of some runs: `report.md`, `report.csv`, `report.json` and, from three axes on, `radar.png`.

    The same folders give the same bytes.

    Args:
        folders (`Collection[str` or `Path]`): Run folders over the same data.
        out (`str` or `Path`, *optional*): Where to write, by default the first run folder.
        paper (`bool`, *optional*, defaults to `False`): Whether to add the rows of the paper's Table 3.

    Returns:
        `Results`: What was written.

    Raises:
        `BenchError`: If a folder is no run folder, a run is unfinished, or runs are over different data.
    """
    if not folders:
        raise BenchError("no run folder was named")
    results = read_results(folders, paper)
    target = Path(out if out is not None else next(iter(folders)))
    target.mkdir(parents=True, exist_ok=True)
    has_radar = len(radar_axes(results)) >= 3
    if has_radar:
        write_radar(results, target / RADAR)
    (target / MARKDOWN).write_text(to_markdown(results, RADAR if has_radar else None), encoding="utf-8")
    (target / TABLE).write_text(to_csv(results), encoding="utf-8", newline="")
    write_json(target / JSON, to_json(results))
    return results


def to_json(results: Results) -> dict[str, Any]:
    """Arranges the report for programs.

    Args:
        results (`Results`): The scores.

    Returns:
        `dict[str, Any]`: `data`, `bootstrap`, `rows` (each with `metric`, what the `aesbench` metric says, and
        `scores`, every group with its interval) and `response_loss`. Accuracies are fractions.
    """
    return {
        "data": {"name": results.data, "pictures": results.pictures, "not_scored": results.not_scored},
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "confidence": CONFIDENCE},
        "rows": [
            {
                "name": row.name,
                "kind": row.kind,
                "control": row.control,
                "overall": row.overall,
                "rank": rank,
                "interpretation": row.interpretation,
                "metric": row.metric,
                "judge": dict(row.judge),
                "scores": list(_score_rows(row)),
            }
            for row, rank in zip(results.rows, results.ranks, strict=True)
        ],
        "response_loss": list(results.losses),
    }


def to_csv(results: Results) -> str:
    """Arranges the report for spreadsheets: a line for every row and group of questions.

    Args:
        results (`Results`): The scores.

    Returns:
        `str`: CSV. The overall score, AesI and the response losses have lines of their own.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in results.rows:
        named = {"name": row.name, "kind": row.kind, "control": row.control}
        writer.writerows({**named, **score} for score in _score_rows(row))
        for task, value in (("interpretation", row.interpretation), ("overall", row.overall)):
            if value is not None:
                writer.writerow({**named, "task": task, "by": "all", "value": value})
        for criterion in Criterion if row.judge else ():
            judged = {"task": "interpretation", "by": "criterion", "label": criterion.value}
            writer.writerow({**named, **judged, "value": row.metric[f"interpretation/{criterion}"]})
    for loss in results.losses:
        label, n = {"by": "kind", "label": loss["kind"]}, {"n": loss["instructions"], "value": loss["loss"]}
        writer.writerow({"name": loss["name"], "kind": "run", "task": f"response loss, {loss['data']}", **label, **n})
    return text.getvalue()


def _score_rows(row: Row) -> Iterator[dict[str, Any]]:
    for group, score in row.scores.items():
        yield {**group._asdict(), **asdict(score), "unreadable": row.unreadable.get(group)}
