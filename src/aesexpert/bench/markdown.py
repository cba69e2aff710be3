"""The report as Markdown, laid out like the paper's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from aesexpert.bench.results import Results
from aesexpert.bench.scores import ALL_CHOICE_TASKS, Group, Row
from aesexpert.bench.statistics import CONFIDENCE, RESAMPLES, Score
from aesexpert.taxonomy import CHOICE_TASKS, Criterion, EmpathyDimension, PerceptionDimension, Task


NOTHING = "\N{EN DASH}"

_ABBREVIATIONS = {
    PerceptionDimension.TECHNICAL_QUALITY: "T.Q.",
    PerceptionDimension.COLOR_AND_LIGHT: "C.L.",
    PerceptionDimension.COMPOSITION: "Comp.",
    PerceptionDimension.CONTENT: "Cont.",
    EmpathyDimension.EMOTION: "Emot.",
    EmpathyDimension.INTEREST: "Inte.",
    EmpathyDimension.UNIQUENESS: "Uniq.",
    EmpathyDimension.VIBE: "Vibe",
}

_TASK_NAMES = {Task.PERCEPTION: "AesP", Task.EMPATHY: "AesE", Task.ASSESSMENT: "AesA", Task.INTERPRETATION: "AesI"}

_TITLES = {
    Task.PERCEPTION: "AesP: perception (Table 4)",
    Task.EMPATHY: "AesE: empathy (Table 5)",
    Task.ASSESSMENT: "AesA: assessment (Table 6)",
}

_BY = {"dimension": "dimension", "source": "source", "question_type": "question type", "answer": "reference answer"}


def to_markdown(results: Results, radar: str | None) -> str:
    """Writes the whole report.

    Args:
        results (`Results`): The scores.
        radar (`str`, *optional*): The file name of the radar chart, if there is one.

    Returns:
        `str`: Markdown.
    """
    parts = ["# AesBench report"]
    if results.rows:
        parts += [_introduction(results), main_section(results)]
    if radar:
        parts.append(f"![Accuracies by dimension, in %]({radar})")
    tasks = [task for task in CHOICE_TASKS if any(group.task == task for group in results.groups)]
    if len(tasks) > 1:
        parts += ["## All choice questions", _totals_table(results, ALL_CHOICE_TASKS)]
    for task in tasks:
        parts += _task_section(results, task)
    return "\n\n".join([*parts, *judgement_section(results), *loss_section(results)]) + "\n"


def overview(results: Results) -> str:
    """Writes the parts of the report that are for the terminal: Table 3, the choice questions together, the losses.

    Args:
        results (`Results`): The scores.

    Returns:
        `str`: Markdown.
    """
    parts = [main_section(results)] if results.rows else []
    if any(group.task == ALL_CHOICE_TASKS for group in results.groups):
        parts += ["## All choice questions", _totals_table(results, ALL_CHOICE_TASKS)]
    return "\n\n".join([*parts, *judgement_section(results), *loss_section(results)])


def _introduction(results: Results) -> str:
    lines = [
        f"`{results.data}`, {results.pictures} pictures. Accuracies are percentages; behind them stand the "
        f"{100 * CONFIDENCE:.0f} % confidence intervals of {RESAMPLES} bootstrap samples of the pictures. Of few "
        "pictures these are too narrow, and at 0 and 100 the bootstrap has none to give. n counts questions. "
        "An answer that cannot be read counts as wrong."
    ]
    if results.not_scored:
        lines.append(f"{results.not_scored} choice questions have no reference answer and are not scored.")
    if any(row.kind == "paper" for row in results.rows):
        lines.append("The paper's rows are its Table 3, measured on the 2,800 pictures of its own AesBench.")
    return "\n\n".join(lines)


def main_section(results: Results) -> str:
    """Writes the section of Table 3.

    Args:
        results (`Results`): The scores.

    Returns:
        `str`: A heading and a table with the columns of Table 3, as far as their tasks were asked.
    """
    tasks = list(Task) if any(row.kind == "paper" for row in results.rows) else results.tasks
    columns = [column for task in CHOICE_TASKS for column in _columns(results, task)]
    header = ["Model", *(_column_name(group) for group in columns)]
    header += [_TASK_NAMES[Task.INTERPRETATION]] * (Task.INTERPRETATION in tasks)
    ranked = len(tasks) == len(Task)
    header += ["Overall", "Rank"] * ranked
    body = []
    for row, rank in zip(results.rows, results.ranks, strict=True):
        cells = [row.name, *(_percent(row.value(group)) for group in columns)]
        cells += [_interpretation(row)] * (Task.INTERPRETATION in tasks)
        cells += [_percent(row.overall), str(rank or NOTHING)] * ranked
        body.append(cells)
    return "## Overall (Table 3)\n\n" + render(header, body)


def _columns(results: Results, task: Task) -> list[Group]:
    measured = {group for row in results.rows for group in row.scores}
    dimensions = [Group(task, "dimension", label) for label in _ABBREVIATIONS]
    return [group for group in (*dimensions, Group(task, "all", "")) if group in measured]


def _column_name(group: Group) -> str:
    if group.by == "all":
        return _TASK_NAMES[Task(group.task)]
    return next(short for label, short in _ABBREVIATIONS.items() if label == group.label)


def _interpretation(row: Row) -> str:
    if row.interpretation is not None:
        return f"{row.interpretation:.3f}"
    return "not judged" if row.asked_interpretation else NOTHING


def _task_section(results: Results, task: Task) -> list[str]:
    parts = [f"## {_TITLES[task]}", _totals_table(results, task)]
    for by, name in _BY.items():
        groups = [group for group in results.groups if group.task == task and group.by == by]
        if groups:
            parts += [f"By {name}:", _groups_table(results, groups)]
    return parts


def _totals_table(results: Results, task: str) -> str:
    group = Group(task, "all", "")
    body = [
        [row.name, str(row.scores[group].n), _interval(row.scores[group]), _share(row, group)]
        for row in _measured(results, [group])
    ]
    return render(["Model", "n", "Accuracy", "Unreadable answers"], body)


def _groups_table(results: Results, groups: Sequence[Group]) -> str:
    rows = _measured(results, groups)
    counts = ["n", *(str(next(row.scores[group].n for row in rows)) for group in groups)]
    body = [[row.name, *(_interval(row.scores[group]) for group in groups)] for row in rows]
    return render(["Model", *(group.label for group in groups)], [counts, *body])


def _measured(results: Results, groups: Sequence[Group]) -> list[Row]:
    """The rows that answered some questions here; the paper's have no intervals."""
    return [row for row in results.rows if row.kind != "paper" and all(group in row.scores for group in groups)]


def _share(row: Row, group: Group) -> str:
    count = row.unreadable[group]
    return f"{count} ({100 * count / (row.scores[group].n or 1):.1f} %)"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.2f}"


def _interval(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return NOTHING
    return f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]"


def judgement_section(results: Results) -> list[str]:
    """Writes the section of Table 7, and how far the judges can be trusted.

    Args:
        results (`Results`): The scores.

    Returns:
        `list[str]`: A heading, explanations and two tables; empty if nothing was judged.
    """
    rows = [row for row in results.rows if row.judge]
    if not rows:
        return []
    scores = [[row.name, str(row.judge["judged"]), *_judged(row)] for row in rows]
    trust = [[row.name, row.judge["judge"], *_trust(row.judge)] for row in rows]
    header = ["Model", "Judge", *(f"SD, alpha: {criterion}" for criterion in Criterion), "r with length", "Words"]
    return [
        "## AesI: interpretation (Table 7)",
        "Scores from 0 to 2 by a language model, the mean of all rounds. n counts answers.",
        render(["Model", "n", *map(str, Criterion), _TASK_NAMES[Task.INTERPRETATION]], scores),
        "How far the judge agrees with itself from round to round: standard deviation within an answer, and "
        "Krippendorff's alpha. r is the correlation of score and number of words. Scores by different judges are not "
        "comparable.",
        render(header, trust),
    ]


def _judged(row: Row) -> list[str]:
    scores = [row.metric[f"interpretation/{criterion}"] for criterion in Criterion]
    return [NOTHING if score is None else f"{score:.3f}" for score in (*scores, row.interpretation)]


def _trust(judge: Mapping[str, Any]) -> list[str]:
    found = [judge["agreement"][criterion] for criterion in Criterion]
    cells = [f"{entry['standard_deviation']:.2f}, {_rounded(entry['alpha'])}" for entry in found]
    return [*cells, _rounded(judge["length"]["correlation"]), f"{judge['length']['mean_words']:.0f}"]


def _rounded(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def loss_section(results: Results) -> list[str]:
    """Writes the section of response losses.

    Args:
        results (`Results`): The scores.

    Returns:
        `list[str]`: A heading, an explanation and a table; empty if no loss was measured.
    """
    if not results.losses:
        return []
    names = list(dict.fromkeys(loss["name"] for loss in results.losses))
    kinds = list(dict.fromkeys(loss["kind"] for loss in results.losses))
    by_key = {(loss["name"], loss["kind"]): loss for loss in results.losses}
    body = [[name, *(_loss(by_key.get((name, kind))) for kind in kinds)] for name in names]
    return [
        "## Response loss",
        f"`{results.losses[0]['data']}`: mean negative log-likelihood of the responses, in nats a token "
        "(tokens / instructions).",
        render(["Model", *kinds], body),
    ]


def _loss(loss: dict[str, float] | None) -> str:
    return f"{loss['loss']:.4f} ({loss['tokens']} / {loss['instructions']})" if loss else NOTHING


def render(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Writes a Markdown table whose columns are aligned in plain text too: names to the left, numbers to the right.

    Args:
        header (`Sequence[str]`): The names of the columns.
        body (`Sequence[Sequence[str]]`): The rows.

    Returns:
        `str`: The table.
    """
    cells = [[cell.replace("|", r"\|") for cell in row] for row in (header, *body)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    lines = [
        " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    rule = " | ".join("-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths))
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])
