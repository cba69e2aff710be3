"""Everything that can be wrong with a source folder, one case each."""

import csv
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiny_data import read_json_lines


@dataclass(frozen=True)
class Case:
    """A way to spoil a source folder, and what the message about it has to say.

    Args:
        name (`str`): Names the case.
        spoil (`Callable[[Path], None]`): Spoils a folder.
        place (`str`): The beginning of the message: file, line and field.
        words (`tuple[str, ...]`): What the message names besides: the value, what was expected.
        skippable (`bool`): Whether the rest of the folder can be used.
    """

    name: str
    spoil: Callable[[Path], None]
    place: str
    words: tuple[str, ...]
    skippable: bool = True


def _set_cell(line: int, column: str, value: str) -> Callable[[Path], None]:
    """Changes a cell of `sources.csv`; its first picture stands in line 2."""

    def spoil(folder: Path) -> None:
        rows = list(csv.DictReader(io.StringIO((folder / "sources.csv").read_text())))
        rows[line - 2][column] = value
        with (folder / "sources.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    return spoil


def _set_key(name: str, line: int, **values: Any) -> Callable[[Path], None]:
    """Changes keys of a row of a JSON Lines file; `...` removes one."""

    def spoil(folder: Path) -> None:
        rows = read_json_lines(folder / name)
        rows[line - 1] |= values
        rows[line - 1] = {key: value for key, value in rows[line - 1].items() if value is not ...}
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    return spoil


def _set_line(name: str, line: int, content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        lines[line - 1] = content + b"\n"
        (folder / name).write_bytes(b"".join(lines))

    return spoil


def _set_picture(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "images" / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _link_away(folder: Path) -> None:
    path = folder / "images" / "00_red.jpg"
    path.rename(folder / "elsewhere.jpg")
    os.symlink(folder / "elsewhere.jpg", path)


def _remove(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def _empty(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).write_text("")

    return spoil


def _repeat_line(name: str, line: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines(keepends=True)
        lines.insert(line, lines[line - 1])
        (folder / name).write_text("".join(lines))

    return spoil


def _rename_column(old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        header, rest = (folder / "sources.csv").read_text().split("\n", 1)
        (folder / "sources.csv").write_text(header.replace(old, new) + "\n" + rest)

    return spoil


def _bomb(data: bytes) -> bytes:
    """A PNG of a few bytes whose header promises 400 million pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _as(picture_format: str, cut: int) -> Callable[[bytes], bytes]:
    """The picture in another format, short of its last bytes."""

    def change(data: bytes) -> bytes:
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file, picture_format)
        return file.getvalue()[:-cut]

    return change


def _choice(**values: Any) -> dict[str, Any]:
    return {"question": "Is it?", "options": ["yes", "no"], "answer": "yes"} | values


GRADES = "one of excellent, good, average, poor, bad"
TYPES = "one of yes-no, what, how, why, other"
FORMATS = "one of open-ended, multiple-choice"

CASES = [
    Case(
        "no table",
        _remove("sources.csv"),
        "sources.csv is missing",
        ("image_id, file, split, source, scene",),
        skippable=False,
    ),
    Case("empty table", _empty("sources.csv"), "sources.csv, line 1: `image_id`", ("missing",), skippable=False),
    Case(
        "table without rows",
        lambda folder: (folder / "sources.csv").write_text("image_id,file,split,source,scene\n") and None,
        "sources.csv is without rows",
        (),
        skippable=False,
    ),
    Case(
        "missing column",
        _rename_column("split", "spilt"),
        "sources.csv, line 1: `split`",
        ("missing", "add the column"),
        skippable=False,
    ),
    Case(
        "column twice",
        _rename_column("author", "licence"),
        "sources.csv, line 1: `header`",
        ("'licence'",),
        skippable=False,
    ),
    Case("column without name", _rename_column("author", ""), "sources.csv, line 1: `header`", ("''",), False),
    Case("row too short", _set_line("sources.csv", 3, b"a,b"), "sources.csv, line 3: `row`", ("2 cells", "12")),
    Case("unknown split", _set_cell(3, "split", "trian"), "sources.csv, line 3: `split`", ("'trian'", "mean train?")),
    Case("unknown source", _set_cell(4, "source", "XX"), "sources.csv, line 4: `source`", ("'XX'", "NI, AI, AGI")),
    Case("unknown data set", _set_cell(2, "dataset", "aadb"), "sources.csv, line 2: `dataset`", ("mean AADB?",)),
    Case(
        "copy in another split",
        _set_cell(2, "original", "09_pink"),
        "sources.csv, line 2: `split`",
        ("'train'", "test"),
    ),
    Case("no image_id", _set_cell(2, "image_id", ""), "sources.csv, line 2: `image_id`", ("''",)),
    Case("image_id with slash", _set_cell(2, "image_id", "a/b"), "sources.csv, line 2: `image_id`", ("'a/b'",)),
    Case("image_id twice", _set_cell(5, "image_id", "01_green"), "sources.csv, line 5: `image_id`", ("'01_green'",)),
    Case("row twice", _repeat_line("sources.csv", 3), "sources.csv, line 4: `image_id`", ("'01_green'",)),
    Case("file twice", _set_cell(5, "file", "01_green.png"), "sources.csv, line 5: `file`", ("than in line 3",)),
    Case("no file", _set_cell(2, "file", ""), "sources.csv, line 2: `file`", ("''",)),
    Case("missing picture", _remove("images/00_red.jpg"), "sources.csv, line 2: `file`", ("does not exist",)),
    Case("folder for a picture", _set_cell(2, "file", "."), "sources.csv, line 2: `file`", ("does not exist",)),
    Case("path upwards", _set_cell(2, "file", "../sources.csv"), "sources.csv, line 2: `file`", ("inside images/",)),
    Case("absolute path", _set_cell(2, "file", "/etc/passwd"), "sources.csv, line 2: `file`", ("'/etc/passwd'",)),
    Case("drive", _set_cell(2, "file", "C:\\red.jpg"), "sources.csv, line 2: `file`", ("inside images/",)),
    Case("link away", _link_away, "sources.csv, line 2: `file`", ("a link that leads away",)),
    Case(
        "truncated JPEG",
        _set_picture("00_red.jpg", lambda data: data[:-200]),
        "sources.csv, line 2: `file`",
        ("'00_red.jpg'", "truncated"),
    ),
    Case(
        "truncated PNG",
        _set_picture("01_green.png", lambda data: data[:-40]),
        "sources.csv, line 3: `file`",
        ("truncated",),
    ),
    Case(
        "truncated WebP", _set_picture("00_red.jpg", _as("WEBP", 300)), "sources.csv, line 2: `file`", ("truncated",)
    ),
    Case("truncated GIF", _set_picture("00_red.jpg", _as("GIF", 300)), "sources.csv, line 2: `file`", ("truncated",)),
    Case("truncated BMP", _set_picture("00_red.jpg", _as("BMP", 300)), "sources.csv, line 2: `file`", ("truncated",)),
    Case(
        "not a picture",
        _set_picture("00_red.jpg", lambda data: b"<html>not found</html>"),
        "sources.csv, line 2: `file`",
        ("not a picture", "JPEG, PNG"),
    ),
    Case("empty picture", _set_picture("00_red.jpg", lambda data: b""), "sources.csv, line 2: `file`", ("not a",)),
    Case("decompression bomb", _set_picture("00_red.jpg", _bomb), "sources.csv, line 2: `file`", ("178,956,970",)),
    Case("table not UTF-8", _set_line("sources.csv", 2, b"\xff" + b"," * 11), "sources.csv, line 2: `row`", ("UTF",)),
    Case("no annotations", _remove("feedback.jsonl", "vqa.jsonl"), "feedback.jsonl is", ("vqa.jsonl",), False),
    Case("empty annotations", _empty("feedback.jsonl", "vqa.jsonl"), "feedback.jsonl is", ("vqa.jsonl",), False),
    Case("not JSON", _set_line("feedback.jsonl", 4, b"{oops"), "feedback.jsonl, line 4: `row`", ("not JSON",)),
    Case("not an object", _set_line("vqa.jsonl", 2, b"[1, 2]"), "vqa.jsonl, line 2: `row`", ("[1, 2]", "JSON object")),
    Case("not UTF-8", _set_line("vqa.jsonl", 3, b'{"a": "\xe9"}'), "vqa.jsonl, line 3: `row`", ("not UTF-8",)),
    Case("deep JSON", _set_line("vqa.jsonl", 3, b"[" * 100_000), "vqa.jsonl, line 3: `row`", ("not JSON",)),
    Case("half character", _set_key("vqa.jsonl", 1, answer="\ud83d"), "vqa.jsonl, line 1: `answer`", ("UTF-8 text",)),
    Case("unknown picture", _set_key("vqa.jsonl", 1, image_id="no"), "vqa.jsonl, line 1: `image_id`", ("'no'",)),
    Case("number as id", _set_key("vqa.jsonl", 1, image_id=7), "vqa.jsonl, line 1: `image_id`", ("7", "a text")),
    Case("feedback twice", _repeat_line("feedback.jsonl", 2), "feedback.jsonl, line 3: `row`", ("line 2",)),
    Case("question twice", _repeat_line("vqa.jsonl", 2), "vqa.jsonl, line 3: `row`", ("line 2",)),
    Case("unknown part", _set_key("feedback.jsonl", 1, part="x"), "feedback.jsonl, line 1: `part`", ("'x'", "grade")),
    Case("unknown grade", _set_key("feedback.jsonl", 1, grade="fine"), "feedback.jsonl, line 1: `grade`", (GRADES,)),
    Case(
        "empty critique", _set_key("feedback.jsonl", 1, critique=" "), "feedback.jsonl, line 1: `critique`", ("' '",)
    ),
    Case("list as critique", _set_key("feedback.jsonl", 1, critique=["a"]), "feedback.jsonl, line 1: `critique`", ()),
    Case("no annotator", _set_key("feedback.jsonl", 1, annotator=...), "feedback.jsonl, line 1: `annotator`", ()),
    Case("unknown key", _set_key("feedback.jsonl", 1, grad="x"), "feedback.jsonl, line 1: `grad`", ("mean grade?",)),
    Case(
        "unknown type", _set_key("vqa.jsonl", 1, question_type="who"), "vqa.jsonl, line 1: `question_type`", (TYPES,)
    ),
    Case("unknown format", _set_key("vqa.jsonl", 1, format="open"), "vqa.jsonl, line 1: `format`", (FORMATS,)),
    Case("unknown dimension", _set_key("vqa.jsonl", 1, dimension="hue"), "vqa.jsonl, line 1: `dimension`", ("'hue'",)),
    Case("missing type", _set_key("vqa.jsonl", 1, question_type=...), "vqa.jsonl, line 1: `question_type`", (TYPES,)),
    Case(
        "no such option", _set_key("vqa.jsonl", 1, answer="mauve"), "vqa.jsonl, line 1: `answer`", ("'mauve'", "'red'")
    ),
    Case("one option", _set_key("vqa.jsonl", 1, options=["red"]), "vqa.jsonl, line 1: `options`", ("2 to 26",)),
    Case("no options", _set_key("vqa.jsonl", 1, options=None), "vqa.jsonl, line 1: `options`", ("2 to 26",)),
    Case(
        "options alike", _set_key("vqa.jsonl", 1, options=["red"] * 2), "vqa.jsonl, line 1: `options`", ("different",)
    ),
    Case("text as options", _set_key("vqa.jsonl", 1, options="A) red"), "vqa.jsonl, line 1: `options`", ("a list",)),
    Case("number as option", _set_key("vqa.jsonl", 1, options=["red", 2]), "vqa.jsonl, line 1: `options[1]`", ("2",)),
    Case(
        "options when open",
        _set_key("vqa.jsonl", 2, options=["a", "b"]),
        "vqa.jsonl, line 2: `options`",
        ("no options",),
    ),
]

BENCH_CASES = [
    Case("no bench", _remove("bench.jsonl"), "bench.jsonl is missing", ()),
    Case("empty bench", _empty("bench.jsonl"), "bench.jsonl is empty", ()),
    Case("picture twice", _repeat_line("bench.jsonl", 1), "bench.jsonl, line 2: `image_id`", ("'08_black'",)),
    Case("unknown picture", _set_key("bench.jsonl", 1, image_id="no"), "bench.jsonl, line 1: `image_id`", ("'no'",)),
    Case("missing picture", _remove("images/08_black.jpg"), "sources.csv, line 10: `file`", ("does not exist",)),
    Case("unknown task", _set_key("bench.jsonl", 1, taste={}), "bench.jsonl, line 1: `taste`", ("perception",)),
    Case("text as task", _set_key("bench.jsonl", 1, empathy="a"), "bench.jsonl, line 1: `empathy`", ("an object",)),
    Case(
        "empty task", _set_key("bench.jsonl", 1, empathy={}), "bench.jsonl, line 1: `empathy.question`", ("missing",)
    ),
    Case("not JSON", _set_line("bench.jsonl", 2, b"oops"), "bench.jsonl, line 2: `row`", ("not JSON",)),
    Case(
        "no task",
        _set_key("bench.jsonl", 1, perception=..., empathy=..., assessment=..., interpretation=...),
        "bench.jsonl, line 1: `row`",
        ("without a question",),
    ),
    *(
        Case(f"{key} of a task", _set_key("bench.jsonl", 1, **{task: _choice(**{key: value})}), place, words)
        for task, key, value, place, words in [
            ("perception", "answer", "C", "bench.jsonl, line 1: `perception.answer`", ("'C'", "'yes', 'no'")),
            ("perception", "dimension", "vibe", "bench.jsonl, line 1: `perception.dimension`", ("composition",)),
            ("empathy", "dimension", "content", "bench.jsonl, line 1: `empathy.dimension`", ("vibe",)),
            ("assessment", "dimension", "vibe", "bench.jsonl, line 1: `assessment.dimension`", ("no dimension",)),
            ("empathy", "question_type", "who", "bench.jsonl, line 1: `empathy.question_type`", (TYPES,)),
            ("empathy", "options", ["yes"], "bench.jsonl, line 1: `empathy.options`", ("2 to 26",)),
        ]
    ),
]


def ids(cases: list[Case]) -> list[str]:
    """The names of cases, for parametrizing tests."""
    return [case.name for case in cases]
