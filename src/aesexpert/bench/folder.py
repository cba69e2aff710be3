"""A run folder: what was run (run.json), what is right (references.jsonl) and what was answered (answers.jsonl)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aesexpert.bench.errors import BenchError


RUN, REFERENCES, ANSWERS, LOSS = "run.json", "references.jsonl", "answers.jsonl", "loss.json"


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same run.

    Args:
        model (`str`): The model's folder or Hub id, as it was given.
        model_fingerprint (`str`): Tells one state of the model from another.
        data (`str`): The data's name.
        data_fingerprint (`str`): Tells one state of the data from another.
        control (`str`, *optional*): `"swapped"`, or none for a usual run.
        settings (`dict[str, Any]`): Everything else that decides the outcome, such as the longest answers allowed.
        versions (`dict[str, str]`): The versions of the libraries that decide it.
    """

    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    control: str | None
    settings: dict[str, Any]
    versions: dict[str, str]

    def check_same(self, recorded: Mapping[str, Any], file: Path, fields: Sequence[str] = ()) -> None:
        """Checks that a folder was made by the same run.

        Args:
            recorded (`Mapping[str, Any]`): What the folder recorded.
            file (`Path`): Where it is recorded, for the message.
            fields (`Sequence[str]`, *optional*): What to compare of the two, by default everything.

        Raises:
            `BenchError`: If the folder was made with another model, other data or other settings.
        """
        mine, theirs = _parts(asdict(self)), _parts(recorded)
        differing = [
            f"{name}: {theirs[name].shown if name in theirs else 'none'}, now {part.shown}"
            for name, part in mine.items()
            if name in (fields or mine) and (name not in theirs or theirs[name].value != part.value)
        ]
        if differing:
            raise BenchError(
                f"{file} belongs to another run ({'; '.join(differing)}); name another folder, or remove this one"
            )


class _Part(NamedTuple):
    value: Any
    shown: str


def _parts(identity: Mapping[str, Any]) -> dict[str, _Part]:
    """What is compared of an identity: of model and data the fingerprint, since their names prove nothing."""
    prints = {name: str(identity.get(f"{name}_fingerprint")) for name in ("model", "data")}
    parts = {name: _Part(value, f"{identity.get(name)!r} ({value[:8]})") for name, value in prints.items()}
    rest = {"control": identity.get("control"), **identity.get("settings", {}), **identity.get("versions", {})}
    return parts | {name: _Part(value, repr(value)) for name, value in rest.items()}


def claim(folder: Path, identity: Identity, references: Iterable[Mapping[str, Any]]) -> None:
    """Makes a folder the folder of a run, or checks that it is already.

    Args:
        folder (`Path`): The folder; made if it is missing.
        identity (`Identity`): The run.
        references (`Iterable[Mapping[str, Any]]`): What is right, one mapping a picture; stored so that a report needs
            nothing but the folder.

    Raises:
        `BenchError`: If the folder belongs to another run, or holds the response loss of another model.
    """
    run_file, loss_file = folder / RUN, folder / LOSS
    if loss_file.exists():
        identity.check_same(read_json(loss_file)["run"], loss_file, fields=("model", "control"))
    if run_file.exists():
        identity.check_same(read_json(run_file), run_file)
        return
    if (folder / ANSWERS).exists():
        raise BenchError(f"{folder} has {ANSWERS} but no {RUN}; choose another `out` folder, or remove this one")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(reference, ensure_ascii=False) + "\n" for reference in references]
    (folder / REFERENCES).write_text("".join(lines), encoding="utf-8")
    # last and at once, so that a folder with run.json is a whole one
    write_json(run_file, asdict(identity))


def read_answers(folder: Path) -> dict[tuple[str, str], str]:
    """Reads the answers given so far.

    A last line that was torn by a kill is passed over: its question is asked again.

    Args:
        folder (`Path`): The run folder.

    Returns:
        `dict[tuple[str, str], str]`: The responses by `image_id` and task, in the order in which they were given.

    Raises:
        `BenchError`: If a line before the last is damaged, or answers a question a second time.
    """
    file = folder / ANSWERS
    answers: dict[tuple[str, str], str] = {}
    content = file.read_bytes() if file.exists() else b""
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            row = json.loads(line)
            key, response = (str(row["image_id"]), str(row["task"])), str(row["response"])
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(
                f"{file}, line {number}: not an answer ({line[:60].decode(errors='replace')!r}); mend or remove it"
            ) from error
        if key in answers:
            raise BenchError(f"{file}, line {number}: a second answer to {' / '.join(key)}; remove one of them")
        answers[key] = response
    return answers


def append_answers(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds answers in one write, so that a kill tears at most the last line."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with open(folder / ANSWERS, "ab") as file:
        file.write(text.encode())


def cut_torn_line(folder: Path) -> None:
    """Removes a last line that was torn by a kill, so that the next answer begins on a line of its own."""
    file = folder / ANSWERS
    if file.exists():
        whole = file.read_bytes().rfind(b"\n") + 1
        with open(file, "ab") as handle:
            handle.truncate(whole)


def read_json(file: Path) -> Any:
    """Reads a JSON file.

    Raises:
        `BenchError`: If it is damaged.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchError(f"{file} is damaged ({error}); remove the folder and run again") from error


def write_json(file: Path, content: Any) -> None:
    """Writes a JSON file whole: a kill leaves the old one or the new one."""
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(file)
