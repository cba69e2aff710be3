"""From answers to the numbers of Tables 3 to 7, group by group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from aesexpert.bench.runs import Run
from aesexpert.bench.statistics import Score, bootstrap_scores
from aesexpert.metrics.aesbench import aesbench_scores, grade_choices
from aesexpert.taxonomy import (
    CHOICE_TASKS,
    Criterion,
    EmpathyDimension,
    PerceptionDimension,
    QuestionType,
    Source,
    Task,
)


ALL_CHOICE_TASKS = "choice"
"""The name of the group of all choice questions, whatever their task."""

NOT_JUDGED = dict.fromkeys(map(str, Criterion))
"""An interpretation without a judgement, in the metric's form."""


class Group(NamedTuple):
    """Some of the questions.

    Args:
        task (`str`): Their task, or `"choice"` for all choice tasks.
        by (`str`): What they have in common: `"all"`, `"dimension"`, `"source"`, `"question_type"` or `"answer"`.
        label (`str`): Which dimension, source and so on; empty for all.
    """

    task: str
    by: str
    label: str


@dataclass(frozen=True)
class Row:
    """A row of the report.

    Args:
        name (`str`): What the report calls it.
        kind (`str`): `"run"`, `"baseline"` or `"paper"`.
        control (`str`, *optional*): `"swapped"`, or none.
        scores (`Mapping[Group, Score]`): The accuracy of every group.
        unreadable (`Mapping[Group, int]`): How many answers of a group could not be read; they count as wrong.
        interpretation (`float`, *optional*): The mean judgement of AesI, from 0 to 2.
        overall (`float`, *optional*): The overall score, as a fraction; none without AesI.
        asked_interpretation (`bool`): Whether AesI was asked at all.
        metric (`Mapping[str, Any]`): Everything that the `aesbench` metric says.
        judge (`Mapping[str, Any]`): Who judged AesI, and how far the judge agrees with itself; empty without a judge.
    """

    name: str
    kind: str
    control: str | None
    scores: Mapping[Group, Score]
    unreadable: Mapping[Group, int]
    interpretation: float | None
    overall: float | None
    asked_interpretation: bool
    metric: Mapping[str, Any]
    judge: Mapping[str, Any] = field(default_factory=dict)

    def value(self, group: Group) -> float | None:
        """The accuracy of a group, none where it was not measured."""
        return self.scores[group].value if group in self.scores else None


def score_run(run: Run, references: Sequence[Mapping[str, Any]], groups: Sequence[Group]) -> Row:
    """Scores a run.

    Args:
        run (`Run`): The answers.
        references (`Sequence[Mapping[str, Any]]`): What is right, in the metric's form.
        groups (`Sequence[Group]`): The groups to score.

    Returns:
        `Row`: Its row in the report.
    """
    columns = {group: i for i, group in enumerate(groups)}
    right, asked, unread = (np.zeros((len(references), len(groups))) for _ in range(3))
    fixed = fixed_options(references)
    for task in (task for task in CHOICE_TASKS if task in run.tasks):
        answers = [run.answers.get((reference["image_id"], task.value), "") for reference in references]
        for row, choice in enumerate(grade_choices(answers, [reference[task] for reference in references])):
            if choice is not None:
                places = [columns[group] for group in _groups_of(references[row], task, fixed)]
                asked[row, places] += 1
                right[row, places] += choice.correct
                unread[row, places] += choice.chosen is None
    scores = dict(zip(groups, bootstrap_scores(right, asked), strict=True))
    metric = _metric(run, references)
    return Row(
        name=run.name,
        kind=run.kind,
        control=run.control,
        scores={group: score for group, score in scores.items() if score.n},
        unreadable={group: int(unread[:, i].sum()) for group, i in columns.items() if scores[group].n},
        interpretation=metric.get("interpretation"),
        overall=metric.get("overall"),
        asked_interpretation=Task.INTERPRETATION in run.tasks,
        metric=metric,
        judge=run.judgements.judge,
    )


def _metric(run: Run, references: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    predictions, asked = [], []
    for reference in references:
        answers = {task.value: run.answers.get((reference["image_id"], task.value), "") for task in CHOICE_TASKS}
        judged = run.judgements.scores.get(reference["image_id"], NOT_JUDGED)
        predictions.append({**answers, "interpretation": judged})
        tasks = {
            task.value: reference[task] if task in run.tasks else {**reference[task], "options": [], "answer": ""}
            for task in CHOICE_TASKS
        }
        asked.append({**tasks, "source": reference["source"]})
    return aesbench_scores(predictions, asked)


def all_groups(references: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Lists the groups that the scored questions fall into.

    Args:
        references (`Sequence[Mapping[str, Any]]`): What is right, in the metric's form.

    Returns:
        `list[Group]`: The groups, in the order of the paper's tables; labels that the paper lacks come last.
    """
    fixed = fixed_options(references)
    found = {
        group
        for reference in references
        for task in CHOICE_TASKS
        if reference[task]["answer"]
        for group in _groups_of(reference, task, fixed)
    }
    tasks, kinds = [ALL_CHOICE_TASKS, *CHOICE_TASKS], ["all", "dimension", "source", "question_type", "answer"]
    labels = [*PerceptionDimension, *EmpathyDimension, *Source, *QuestionType, *(o for f in fixed.values() for o in f)]
    return sorted(
        found,
        key=lambda group: (
            tasks.index(group.task),
            kinds.index(group.by),
            labels.index(group.label) if group.label in labels else len(labels),
            group.label,
        ),
    )


def fixed_options(references: Sequence[Mapping[str, Any]]) -> dict[Task, Sequence[str]]:
    """The options of those choice tasks whose questions all have the same ones, as AesA's do."""
    fixed = {}
    for task in CHOICE_TASKS:
        options = [reference[task]["options"] for reference in references if reference[task]["options"]]
        if options and len({frozenset(entry) for entry in options}) == 1:
            fixed[task] = options[0]
    return fixed


def _groups_of(reference: Mapping[str, Any], task: Task, fixed: Mapping[Task, Any]) -> Iterator[Group]:
    question = reference[task]
    yield Group(ALL_CHOICE_TASKS, "all", "")
    yield Group(task.value, "all", "")
    labels = {
        "dimension": question["dimension"],
        "source": reference["source"],
        "question_type": question["question_type"],
        "answer": question["answer"] if task in fixed else "",
    }
    yield from (Group(task.value, by, label) for by, label in labels.items() if label)
