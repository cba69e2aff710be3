"""The published AesMMIT: a zip of pictures and LLaVA-style JSON, turned into a source folder."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile, ZipInfo

from tqdm import tqdm

from aesexpert.data.archives import check_space, extract
from aesexpert.data.llava import chosen_option, split_options, turns
from aesexpert.data.origin import origin_of
from aesexpert.data.rows import write_csv
from aesexpert.data.source import FEEDBACK, IMAGES, SOURCES, VQA
from aesexpert.taxonomy import AnswerFormat, QuestionType, Split


ANNOTATOR = "not given"
"""The pseudonym of critiques whose writers the release does not tell apart."""

UNKNOWN_LABELS = "unknown_labels"
"""The column of `sources.csv` that keeps the labels of a picture's rows that the paper's vocabulary lacks."""

_DESCRIPTIONS = ("description", "desc", "feedback", "aesfeedback")
_QUESTIONS = ("vqa", "aesvqa", "qa", "question", "openended", "multiplechoice", "mcq")


class ReleaseError(ValueError):
    """Published files that are not as they are published."""


@dataclass
class Annotations:
    """The rows of a release, sorted by picture.

    Args:
        feedback (`dict[str, list[dict]]`): Rows for `feedback.jsonl` without `image_id`, by the picture's name.
        questions (`dict[str, list[dict]]`): Rows for `vqa.jsonl`, the same way.
        unknown (`dict[str, Counter]`): Labels that the vocabulary lacks, by the picture's name.
    """

    feedback: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    questions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unknown: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def pictures(self) -> list[str]:
        """The names of all pictures, in the order of their first row."""
        return list(dict.fromkeys([*self.feedback, *self.questions]))

    @property
    def unknown_labels(self) -> Counter[str]:
        """How often each label occurs that the vocabulary lacks."""
        return sum(self.unknown.values(), Counter())


def read_rows(content: bytes, name: str) -> list[Any]:
    """Reads a JSON file of LLaVA-style rows.

    Args:
        content (`bytes`): The file's content.
        name (`str`): What messages call it.

    Returns:
        `list`: Its rows.

    Raises:
        `ReleaseError`: If it is no list of such rows.
    """
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{name} is not JSON ({error}); fetch it again") from error
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict) or "conversations" not in rows[0]:
        raise ReleaseError(f"{name} is no list of LLaVA-style rows with `image` and `conversations`")
    return rows


def read_annotations(files: Mapping[str, Sequence[Any]]) -> Annotations:
    """Sorts the rows of a release by picture, rows that stand twice once.

    A row is a critique if its `type` says so, else a question; `qtype` tells how it is asked. What is neither of the
    paper's is kept in `unknown`.

    Args:
        files (`Mapping[str, Sequence]`): Rows by the name of their file.

    Returns:
        `Annotations`: The rows in the form of a source folder.

    Raises:
        `ReleaseError`: If a row is wrong; the message names file and row.
    """
    annotations = Annotations()
    for name, rows in files.items():
        for number, row in enumerate(rows):
            try:
                _add_row(annotations, row)
            except ValueError as error:
                raise ReleaseError(f"{name}, row {number} (counted from 0): {error}; correct or remove it") from error
    return annotations


def _add_row(annotations: Annotations, row: Any) -> None:
    if not isinstance(row, Mapping) or not isinstance(row.get("image"), str) or not row["image"].strip():
        raise ValueError("expected an `image`")
    picture, label, asked = row["image"], row.get("type"), row.get("qtype")
    kind, question_type = _plain(label), _question_type(asked)
    is_critique = kind in _DESCRIPTIONS or (not label and not asked)
    unknown = [f"type={label}"] if label and kind not in (*_DESCRIPTIONS, *_QUESTIONS) else []
    if asked and question_type is QuestionType.OTHER and not is_critique:
        unknown.append(f"qtype={asked}")
    if unknown:
        annotations.unknown.setdefault(picture, Counter()).update(unknown)
    for prompt, response in turns(row.get("conversations")):
        if is_critique:
            entry: dict[str, Any] = {"question": prompt, "critique": response, "annotator": ANNOTATOR}
            entries = annotations.feedback.setdefault(picture, [])
        else:
            entry = _question(prompt, response, question_type)
            entries = annotations.questions.setdefault(picture, [])
        if entry not in entries:
            entries.append(entry)


def _question(prompt: str, response: str, question_type: QuestionType) -> dict[str, Any]:
    question, options = split_options(prompt)
    answer = chosen_option(response, options) if len(set(options)) == len(options) else None
    is_choice = answer is not None
    return {
        "question": question if is_choice else prompt,
        "answer": answer if is_choice else response,
        "options": list(options) if is_choice else [],
        "question_type": question_type.value,
        "format": (AnswerFormat.MULTIPLE_CHOICE if is_choice else AnswerFormat.OPEN_ENDED).value,
    }


def _plain(label: Any) -> str:
    return "".join(character for character in str(label or "").lower() if character.isalnum())


def _question_type(label: Any) -> QuestionType:
    by_name = {_plain(question_type): question_type for question_type in QuestionType}
    return by_name.get(_plain(label), QuestionType.OTHER)


def find_pictures(names: Sequence[str], members: Mapping[str, Any]) -> dict[str, str]:
    """Finds pictures among the files of a release, by their path or by the end of it.

    Args:
        names (`Sequence[str]`): The pictures as rows name them.
        members (`Mapping[str, Any]`): The files by path.

    Returns:
        `dict[str, str]`: The path of each picture.

    Raises:
        `ReleaseError`: If pictures are missing, or a name fits several.
    """
    by_file: dict[str, list[str]] = {}
    for path in members:
        by_file.setdefault(PurePosixPath(path).name, []).append(path)
    found: dict[str, str] = {}
    missing: list[str] = []
    for name in names:
        candidates = [path for path in by_file.get(PurePosixPath(name).name, []) if _fits(path, name)]
        if len(candidates) > 1:
            raise ReleaseError(f"picture {name!r} fits {' and '.join(sorted(candidates)[:2])}; expected one file")
        if candidates:
            found[name] = candidates[0]
        else:
            missing.append(name)
    if missing:
        raise ReleaseError(
            f"{len(missing)} of {len(names)} pictures are not in the archive, {missing[0]!r} among them"
        )
    return found


def _fits(path: str, name: str) -> bool:
    """Whether one is the end of the other: rows and archives put different folders in front."""
    mine, theirs = PurePosixPath(path).parts[::-1], PurePosixPath(name).parts[::-1]
    return all(a == b for a, b in zip(mine, theirs, strict=False))


def unpack_pictures(
    wanted: Mapping[str, tuple[ZipFile, ZipInfo]], folder: Path, description: str = "Unpacking pictures"
) -> None:
    """Unpacks pictures into `images/` of a folder; those that are there and whole are left as they are.

    Args:
        wanted (`Mapping[str, tuple[ZipFile, ZipInfo]]`): Archive and member by file name inside `images/`.
        folder (`Path`): The folder.
        description (`str`, *optional*): What the progress bar says.

    Raises:
        `ArchiveError`: If the disk is too small or a member is damaged.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    check_space([info for name, (_, info) in wanted.items() if not (folder / IMAGES / name).exists()], folder)
    for name, (archive, info) in tqdm(wanted.items(), desc=description, unit="picture", disable=None):
        extract(archive, info, folder / IMAGES / name)


def inside_images(paths: Sequence[str]) -> dict[str, str]:
    """Tells where pictures go inside `images/`: without the folders that all of them have in front.

    Args:
        paths (`Sequence[str]`): The paths in the archive.

    Returns:
        `dict[str, str]`: The path inside `images/` for each.
    """
    shared = len(PurePosixPath(os.path.commonpath([PurePosixPath(path).parent for path in paths])).parts)
    return {path: PurePosixPath(*PurePosixPath(path).parts[shared:]).as_posix() for path in paths}


def image_ids(paths: Sequence[str]) -> dict[str, str]:
    """Names pictures after their files, and after folder and file where two files have one name.

    Args:
        paths (`Sequence[str]`): The paths in the archive.

    Returns:
        `dict[str, str]`: An `image_id` for each path.
    """
    stems = Counter(PurePosixPath(path).stem for path in paths)
    ids = {}
    for path in paths:
        pure = PurePosixPath(path)
        ids[path] = pure.stem if stems[pure.stem] == 1 else path.replace("/", "_")
    return ids


def write_tables(folder: Path, annotations: Annotations, files: Mapping[str, str]) -> None:
    """Writes `sources.csv`, `feedback.jsonl` and `vqa.jsonl` beside the pictures.

    Args:
        folder (`Path`): The source folder.
        annotations (`Annotations`): The rows.
        files (`Mapping[str, str]`): The path of each picture in the archive.
    """
    ids, places = image_ids(list(files.values())), inside_images(list(files.values()))
    rows = []
    for name, path in files.items():
        dataset, source = origin_of(path)
        rows.append(
            {
                "image_id": ids[path],
                "file": places[path],
                "split": Split.TRAIN.value,
                "source": source.value if source else "",
                "dataset": dataset.value,
                "scene": "",
                UNKNOWN_LABELS: "; ".join(sorted(annotations.unknown.get(name, ()))),
            }
        )
    (folder / SOURCES).write_text(write_csv(rows), encoding="utf-8", newline="")
    for file, entries in ((FEEDBACK, annotations.feedback), (VQA, annotations.questions)):
        lines = _lines({ids[files[name]]: rows for name, rows in entries.items()})
        (folder / file).write_text("".join(lines), encoding="utf-8")


def _lines(entries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for image_id, rows in entries.items():
        for row in rows:
            yield json.dumps({"image_id": image_id, **row}, ensure_ascii=False) + "\n"
