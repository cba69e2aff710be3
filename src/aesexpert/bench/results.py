"""The results of some runs side by side, ready to be written in any form."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aesexpert.bench.baselines import baselines
from aesexpert.bench.paper import paper_rows
from aesexpert.bench.runs import read_runs
from aesexpert.bench.scores import ALL_CHOICE_TASKS, Group, Row, all_groups, score_run
from aesexpert.taxonomy import CHOICE_TASKS, Task


@dataclass(frozen=True)
class Results:
    """What runs scored.

    Args:
        data (`str`): The data's name; empty if only response losses were measured.
        pictures (`int`): How many pictures it has.
        tasks (`Sequence[Task]`): The tasks that were asked.
        not_scored (`int`): How many choice questions have no reference answer.
        groups (`Sequence[Group]`): The groups of questions that have accuracies, in order.
        rows (`Sequence[Row]`): Runs, baselines and the paper's rows, in this order.
        losses (`Sequence[dict[str, Any]]`): Response losses: `name`, `data`, `kind`, `loss`, `tokens`, `instructions`.
    """

    data: str
    pictures: int
    tasks: Sequence[Task]
    not_scored: int
    groups: Sequence[Group]
    rows: Sequence[Row]
    losses: Sequence[dict[str, Any]]

    @property
    def ranks(self) -> list[int | None]:
        """The rank of every row by its overall score, equals sharing one; none for rows without."""
        overall = [row.overall for row in self.rows]
        return [
            None if mine is None else 1 + sum(other is not None and other > mine for other in overall)
            for mine in overall
        ]


def read_results(folders: Collection[str | Path], paper: bool = False) -> Results:
    """Scores the runs in some folders.

    Args:
        folders (`Collection[str` or `Path]`): Run folders over the same data.
        paper (`bool`, *optional*, defaults to `False`): Whether to add the rows of the paper's Table 3.

    Returns:
        `Results`: The scores of runs and of baselines.

    Raises:
        `BenchError`: If a folder is no run folder, a run is unfinished, or runs are over different data.
    """
    run_set = read_runs(folders)
    references = run_set.references
    tasks = [task for task in Task if any(task in run.tasks for run in run_set.runs)]
    groups = all_groups(references)
    runs = [*run_set.runs, *baselines(references, tasks)]
    questions = [reference[task] for reference in references for task in CHOICE_TASKS if task in tasks]
    return Results(
        data=run_set.data,
        pictures=len(references),
        tasks=tasks,
        not_scored=sum(bool(question["options"]) and not question["answer"] for question in questions),
        groups=[group for group in groups if group.task in (*tasks, ALL_CHOICE_TASKS)],
        rows=[score_run(run, references, groups) for run in runs] + (paper_rows() if paper else []),
        losses=run_set.losses,
    )
