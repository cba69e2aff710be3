"""The source folder: what collection and generation write, and what the builder and the benchmark read.

    images/         the pictures, in any arrangement
    sources.csv     one row a picture: image_id, file (inside images/), split, source, dataset, scene; more are kept
    feedback.jsonl  one critique a line: image_id, part, question, critique, grade, annotator
    vqa.jsonl       one pair a line: image_id, question, answer, options, question_type, dimension, format
    bench.jsonl     one picture a line: image_id, perception, empathy, assessment, interpretation

Everything is checked before anything is used: labels against the paper's vocabulary, pictures for being whole, rows
against each other. `source`, `part` and `dimension` can be empty where they are not known.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from aesexpert.data.conversations import MAX_OPTIONS
from aesexpert.data.pictures import PictureError, check_picture
from aesexpert.data.problems import Problem, SourceError, closest, shown
from aesexpert.data.records import (
    BenchRecord,
    ChoiceQuestion,
    Feedback,
    Interpretation,
    Picture,
    Question,
    SourceFolder,
)
from aesexpert.data.rows import Row, read_csv, read_json_lines
from aesexpert.taxonomy import (
    CHOICE_TASKS,
    AnswerFormat,
    Dimension,
    EmpathyDimension,
    FeedbackPart,
    Grade,
    PerceptionDimension,
    QuestionType,
    Source,
    SourceDataset,
    Split,
    Task,
)


__all__ = [
    "BenchRecord",
    "ChoiceQuestion",
    "Feedback",
    "Interpretation",
    "Picture",
    "Problem",
    "Question",
    "SourceError",
    "SourceFolder",
    "read_bench",
    "read_feedback",
    "read_source",
    "source_row",
]

SOURCES, FEEDBACK, VQA, BENCH, IMAGES = "sources.csv", "feedback.jsonl", "vqa.jsonl", "bench.jsonl", "images"

_REQUIRED_COLUMNS = ("image_id", "file", "split", "source", "scene")
_COLUMNS = (*_REQUIRED_COLUMNS, "dataset")
_BENCH_DIMENSIONS = {Task.PERCEPTION: PerceptionDimension, Task.EMPATHY: EmpathyDimension}

Annotation = TypeVar("Annotation", Feedback, Question)
_Known = Mapping[str, Picture | None]
"""Pictures by `image_id`, with `None` for those that are wrong: their annotations are not of unknown pictures."""


def read_source(folder: str | Path, skip_bad: bool = False) -> SourceFolder:
    """Reads and checks a source folder.

    Args:
        folder (`str` or `Path`): The folder.
        skip_bad (`bool`, *optional*, defaults to `False`):
            Whether to leave out rows that are wrong, and the annotations of pictures that are, instead of raising.

    Returns:
        `SourceFolder`: The pictures and their annotations, and why rows were skipped.

    Raises:
        `SourceError`: If anything is wrong; with `skip_bad`, if nothing usable remains.

    Example:

    ```python
    >>> source = read_source("dataset_scripts/demo")
    >>> len(source.pictures), source.feedback["002_red_panda"][0].grade
    (140, <Grade.EXCELLENT: 'excellent'>)
    ```
    """
    folder = Path(folder)
    problems: list[Problem] = []
    known = _read_pictures(folder, problems)
    feedback = _read_annotations(folder / FEEDBACK, _read_feedback, known, problems)
    questions = _read_annotations(folder / VQA, _read_question, known, problems)
    pictures = [picture for picture in known.values() if picture]
    if problems and not skip_bad:
        raise SourceError(folder, problems)
    if not feedback and not questions:
        nothing = Problem(
            FEEDBACK, None, "file", "missing or without a usable row", f"rows in it or in {VQA}", "add them"
        )
        raise SourceError(folder, [*problems, nothing])
    return SourceFolder(folder, pictures, feedback, questions, problems)


def read_feedback(folder: str | Path) -> dict[str, list[Feedback]]:
    """Reads and checks the critiques of a source folder without opening its pictures.

    Args:
        folder (`str` or `Path`): The folder.

    Returns:
        `dict[str, list[Feedback]]`: Critiques by `image_id`, in the order of `feedback.jsonl`.

    Raises:
        `SourceError`: If a critique is wrong, or if there is none.
    """
    folder = Path(folder)
    problems: list[Problem] = []
    if not (folder / SOURCES).is_file():
        raise SourceError(folder, [_no_sources()])
    names = {row.text("image_id") for row in read_csv(folder / SOURCES, _REQUIRED_COLUMNS, problems)}
    feedback = _read_annotations(folder / FEEDBACK, _read_feedback, dict.fromkeys(names, True), problems)
    if not problems and not feedback:
        problems.append(Problem(FEEDBACK, None, "file", "missing or without a row", "critiques", "add them"))
    if problems:
        raise SourceError(folder, problems)
    return feedback


def read_bench(path: str | Path) -> list[BenchRecord]:
    """Reads and checks a benchmark file, with the pictures of the source folder that it lies in.

    Args:
        path (`str` or `Path`): The `.jsonl` file, beside `sources.csv` and `images/`.

    Returns:
        `list[BenchRecord]`: One record a picture, in the order of the file.

    Raises:
        `SourceError`: If anything is wrong.
    """
    path = Path(path)
    problems: list[Problem] = []
    if not path.is_file():
        missing = Problem(path.name, None, "file", "missing", "one benchmark picture a line", "add the file")
        raise SourceError(path.parent, [missing])
    known = _read_pictures(path.parent, problems)
    records: dict[str, BenchRecord] = {}
    for row in read_json_lines(path, problems):
        record = _read_record(row, known)
        if record and record.image_id in records:
            row.refuse("image_id", shown(record.image_id), "each picture once", "merge the rows or remove one")
        problems += row.problems
        if record and not row.problems:
            records[record.image_id] = record
    if not problems and not records:
        problems.append(Problem(path.name, None, "file", "empty", "one benchmark picture a line", "add the rows"))
    if problems:
        raise SourceError(path.parent, problems)
    return list(records.values())


def source_row(folder: Path, picture: Picture) -> dict[str, str]:
    """Writes a picture as its row of `sources.csv`.

    Args:
        folder (`Path`): The source folder that the picture lies in.
        picture (`Picture`): The picture.

    Returns:
        `dict[str, str]`: The cells by column.
    """
    return {
        "image_id": picture.image_id,
        "file": picture.path.relative_to(folder / IMAGES).as_posix(),
        "split": picture.split.value,
        "source": picture.source.value if picture.source else "",
        "dataset": picture.dataset.value,
        "scene": picture.scene,
        **picture.extra,
    }


def _read_pictures(folder: Path, problems: list[Problem]) -> dict[str, Picture | None]:
    path = folder / SOURCES
    if not path.is_file():
        raise SourceError(folder, [_no_sources()])
    found: list[Problem] = []
    rows = [(row, _read_picture(row, folder / IMAGES)) for row in read_csv(path, _REQUIRED_COLUMNS, found)]
    _compare_pictures(rows)
    known: dict[str, Picture | None] = {}
    for row, picture in rows:
        found += row.problems
        known.setdefault(picture.image_id, None if row.problems else picture)
    if not rows and not found:
        found.append(Problem(SOURCES, None, "file", "without rows", "one row a picture", "add the pictures"))
    problems += sorted(found, key=lambda problem: problem.line or 0)
    return known


def _no_sources() -> Problem:
    expected = f"a table with the columns {', '.join(_REQUIRED_COLUMNS)}"
    return Problem(SOURCES, None, "file", "missing", expected, "add it or name another folder")


def _compare_pictures(rows: Sequence[tuple[Row, Picture]]) -> None:
    """Refuses rows that do not go together with earlier ones, and copies in another split than their original."""
    first: dict[str, tuple[Row, Picture]] = {}
    files: dict[Path, int] = {}
    for row, picture in rows:
        if picture.image_id and first.setdefault(picture.image_id, (row, picture))[0] is not row:
            row.refuse("image_id", shown(picture.image_id), "each name once", "rename the picture or remove the row")
        line = files.setdefault(picture.path, row.line)
        if line != row.line:
            expected = f"another file than in line {line}"
            row.refuse("file", shown(row.values["file"]), expected, "remove one of the rows")
    for row, picture in rows:
        original_row, original = first.get(picture.original, (row, picture))
        if original.split is not picture.split and not row.problems and not original_row.problems:
            expected = f"{original.split} as for its original"
            row.refuse("split", shown(picture.split.value), expected, "put both into one split")


def _read_picture(row: Row, images: Path) -> Picture:
    image_id = row.text("image_id")
    if not image_id.isprintable() or set(image_id) & set("/\\"):
        row.refuse(
            "image_id", shown(image_id), "a name that can be a file's", "leave out slashes and control characters"
        )
    return Picture(
        image_id=image_id,
        path=_find_file(row, images),
        split=row.label("split", Split),
        source=row.optional_label("source", Source),
        dataset=row.optional_label("dataset", SourceDataset) or SourceDataset.OTHER,
        scene=row.optional_text("scene"),
        extra={name: value for name, value in row.values.items() if name not in _COLUMNS},
    )


def _find_file(row: Row, images: Path) -> Path:
    """The picture's path. Nothing outside the folder of pictures is opened, neither by `..` nor through a link."""
    name = row.text("file")
    path = images / name
    if not name:
        return path
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in PurePosixPath(name).parts:
        row.refuse("file", shown(name), f"a path inside {IMAGES}/", f"move the picture into {IMAGES}/")
    elif not path.is_file():
        row.refuse("file", f"{shown(name)}, which does not exist", f"a file in {IMAGES}/", "add it or remove the row")
    elif not path.resolve().is_relative_to(images.resolve()):
        row.refuse("file", f"{shown(name)}, a link that leads away", f"a file in {IMAGES}/", "replace it by the file")
    else:
        _check_file(row, path)
    return path


def _check_file(row: Row, path: Path) -> None:
    name = shown(row.values["file"])
    try:
        with path.open("rb") as file:
            check_picture(file)
    except PictureError as error:
        row.refuse("file", f"{name}, {error.found}", error.expected, error.remedy)
    except OSError as error:
        row.refuse("file", f"{name}, {error.strerror}", "a file that can be read", "see to its permissions and disk")


def _read_image_id(row: Row, known: Mapping[str, object]) -> str:
    image_id = row.text("image_id")
    if image_id and image_id not in known:
        row.refuse("image_id", shown(image_id), f"a picture of {SOURCES}", "add it there or remove the row")
    return image_id


def _read_annotations(
    path: Path, read: Callable[[Row], Annotation], known: Mapping[str, object], problems: list[Problem]
) -> dict[str, list[Annotation]]:
    annotations: dict[str, list[Annotation]] = {}
    lines: dict[tuple[str, Annotation], int] = {}
    for row in read_json_lines(path, problems) if path.is_file() else ():
        image_id, annotation = _read_image_id(row, known), read(row)
        line = lines.setdefault((image_id, annotation), row.line)
        if line != row.line and not row.problems:
            row.refuse("row", f"the same as line {line}", "each annotation once", "remove one of them")
        problems += row.problems
        if known.get(image_id) and not row.problems:
            annotations.setdefault(image_id, []).append(annotation)
    return annotations


def _read_feedback(row: Row) -> Feedback:
    row.only("image_id", "part", "question", "critique", "grade", "annotator")
    return Feedback(
        part=row.optional_label("part", FeedbackPart),
        question=row.text("question"),
        critique=row.text("critique"),
        grade=row.optional_label("grade", Grade),
        annotator=row.text("annotator"),
    )


def _read_question(row: Row) -> Question:
    row.only("image_id", "question", "answer", "options", "question_type", "dimension", "format")
    question = Question(
        question=row.text("question"),
        answer=row.text("answer"),
        options=row.texts("options"),
        question_type=row.label("question_type", QuestionType),
        dimension=row.optional_label("dimension", Dimension),
        format=row.label("format", AnswerFormat),
    )
    if question.format is AnswerFormat.MULTIPLE_CHOICE:
        _check_options(row, question.options, question.answer)
    elif question.options:
        row.refuse("options", shown(list(question.options)), "no options", f"make it {AnswerFormat.MULTIPLE_CHOICE}")
    return question


def _check_options(row: Row, options: Sequence[str], answer: str) -> None:
    if any(problem.field.startswith(f"{row.prefix}options") for problem in row.problems):
        return
    if not 2 <= len(options) <= MAX_OPTIONS:
        row.refuse("options", shown(list(options)), f"2 to {MAX_OPTIONS} options", "add or remove options")
    elif len(set(options)) < len(options):
        row.refuse("options", shown(list(options)), "different options", "change the one that stands twice")
    elif answer and answer not in options:
        expected = "one of the options " + ", ".join(map(shown, options))
        row.refuse("answer", shown(answer), expected, closest(answer, options))


def _read_record(row: Row, known: _Known) -> BenchRecord | None:
    row.only("image_id", *Task)
    image_id = _read_image_id(row, known)
    choices = {task.value: _read_choice(row, task) for task in CHOICE_TASKS}
    interpretation = _read_interpretation(row)
    if not row.problems and not interpretation and not any(choices.values()):
        row.refuse("row", "without a question", f"at least one of {', '.join(Task)}", "add one or remove the row")
    picture = known.get(image_id)
    return BenchRecord(image_id, picture, **choices, interpretation=interpretation) if picture else None


def _read_choice(row: Row, task: Task) -> ChoiceQuestion | None:
    nested = row.child(task)
    if nested is None:
        return None
    nested.only("question", "options", "answer", "dimension", "question_type")
    labels = _BENCH_DIMENSIONS.get(task)
    if labels is None and nested.has("dimension"):
        nested.refuse("dimension", shown(nested.values["dimension"]), "no dimension", "remove it")
    question = ChoiceQuestion(
        question=nested.text("question"),
        options=nested.texts("options"),
        answer=nested.optional_text("answer"),
        dimension=str(nested.optional_label("dimension", labels) or "") if labels else "",
        question_type=str(nested.optional_label("question_type", QuestionType) or ""),
    )
    _check_options(nested, question.options, question.answer)
    return question


def _read_interpretation(row: Row) -> Interpretation | None:
    nested = row.child(Task.INTERPRETATION)
    if nested is None:
        return None
    nested.only("question", "reference")
    return Interpretation(nested.text("question"), nested.optional_text("reference"))
