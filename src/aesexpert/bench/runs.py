"""Reading run folders back: what was asked, what is right, and what every run answered."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import LOSS, REFERENCES, RUN, read_answers, read_json
from aesexpert.bench.judgements import NOTHING_JUDGED, Judgements, read_judgements
from aesexpert.bench.scoring import Scoring
from aesexpert.taxonomy import CHOICE_TASKS, Task


@dataclass(frozen=True)
class Run:
    """The answers of one model, or of a baseline.

    Args:
        name (`str`): What reports call it.
        kind (`str`): `"run"` or `"baseline"`.
        control (`str`, *optional*): `"swapped"`, or none for a usual run.
        answers (`Mapping[tuple[str, str], str]`): The responses by `image_id` and task.
        judgements (`Judgements`, *optional*): What a judge said of the answers to AesI.
    """

    name: str
    kind: str
    control: str | None
    answers: Mapping[tuple[str, str], str]
    judgements: Judgements = NOTHING_JUDGED

    @property
    def tasks(self) -> list[Task]:
        """The tasks that were asked, in the benchmark's order."""
        asked = {task for _, task in self.answers}
        return [task for task in Task if task in asked]


@dataclass(frozen=True)
class RunSet:
    """Runs over the same data.

    Args:
        data (`str`): The data's name; empty without runs.
        references (`Sequence[dict[str, Any]]`): What is right, one mapping a picture, in the metric's form.
        runs (`Sequence[Run]`): The runs, in the order in which their folders were named.
        losses (`Sequence[dict[str, Any]]`): Response losses: `name`, `data`, `kind`, `loss`, `tokens`, `instructions`.
    """

    data: str
    references: Sequence[dict[str, Any]]
    runs: Sequence[Run]
    losses: Sequence[dict[str, Any]]


def read_runs(folders: Collection[str | Path]) -> RunSet:
    """Reads run folders.

    Args:
        folders (`Collection[str` or `Path]`): Folders that hold a run, a response loss, or both.

    Returns:
        `RunSet`: The runs, and what is right.

    Raises:
        `BenchError`: If a folder holds neither, a run is unfinished, or runs are over different data.
    """
    paths = list(dict.fromkeys(map(Path, folders)))
    for path in paths:
        if not (path / RUN).is_file() and not (path / LOSS).is_file():
            raise BenchError(f"{path} is no run folder: it has neither {RUN} nor {LOSS}")
    names = _names(paths)
    identities = {path: read_json(path / RUN) for path in paths if (path / RUN).is_file()}
    losses = {path: read_json(path / LOSS) for path in paths if (path / LOSS).is_file()}
    _check_same_data(identities)
    _check_same_data({path: loss["run"] for path, loss in losses.items()})
    references = _read_references(next(iter(identities))) if identities else []
    return RunSet(
        data=next((identity["data"] for identity in identities.values()), ""),
        references=references,
        runs=[_read_run(path, names[path], identity, references) for path, identity in identities.items()],
        losses=[numbers for path, loss in losses.items() for numbers in _by_kind(loss, names[path])],
    )


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Names every folder after its model, and tells folders of equally named models apart by their own names."""
    identities = [read_json(path / RUN) if (path / RUN).is_file() else read_json(path / LOSS)["run"] for path in paths]
    suffixes = [_suffix(identity) for identity in identities]
    names = [Path(identity["model"]).name + suffix for identity, suffix in zip(identities, suffixes, strict=True)]
    states = [(name, identity["model_fingerprint"]) for name, identity in zip(names, identities, strict=True)]
    ambiguous = {name for name, _ in states if len({state for other, state in states if other == name}) > 1}
    return {
        path: f"{name} [{path.name}]" if name in ambiguous else name for path, name in zip(paths, names, strict=True)
    }


def _suffix(identity: Mapping[str, Any]) -> str:
    """What distinguishes a run from the usual one, which the paper's rows compare with."""
    scoring = identity.get("settings", {}).get("scoring", Scoring.GENERATE)  # a response loss has none
    unusual = [scoring if scoring != Scoring.GENERATE else None, identity["control"]]
    return "".join(f" ({name})" for name in unusual if name)


def _check_same_data(identities: Mapping[Path, Mapping[str, Any]]) -> None:
    if len({identity["data_fingerprint"] for identity in identities.values()}) > 1:
        listed = "; ".join(
            f"{path}: {identity['data']} ({identity['data_fingerprint'][:8]})" for path, identity in identities.items()
        )
        raise BenchError(f"runs over different data cannot be reported together ({listed}); report them one by one")


def _read_references(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / REFERENCES).read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def _read_run(folder: Path, name: str, identity: Mapping[str, Any], references: Sequence[dict[str, Any]]) -> Run:
    answers = read_answers(folder)
    run = Run(name, "run", identity["control"], answers, read_judgements(folder, answers))
    if not run.tasks:
        raise BenchError(f"{folder} has no answers yet; run the benchmark first")
    for task in run.tasks:
        asked = [reference["image_id"] for reference in references if is_asked(reference, task)]
        missing = sum((image_id, task.value) not in run.answers for image_id in asked)
        if missing:
            raise BenchError(
                f"{folder} is unfinished: {missing} of {len(asked)} {task} answers are missing; run it again"
            )
    return run


def is_asked(reference: Mapping[str, Any], task: Task) -> bool:
    """Whether the benchmark asks a task about a picture."""
    if task in CHOICE_TASKS:
        return bool(reference[task]["options"])
    return reference[task] is not None


def _by_kind(loss: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    kinds = {"all": loss["overall"], **loss["kinds"]}
    return [{"name": name, "data": loss["run"]["data"], "kind": kind, **numbers} for kind, numbers in kinds.items()]
