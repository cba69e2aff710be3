"""A source folder made on the fly: twelve small pictures with every kind of annotation."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


TRAIN_PICTURES, TEST_PICTURES, SIDE = 8, 4, 64

GRADES = ["excellent", "good", "average", "poor", "bad"]
SOURCES = [
    ("NI", "AADB", "animal"),
    ("AI", "BAID", "portrait"),
    ("AGI", "DiffusionDB", "fantasy"),
    ("NI", "", "plant"),
]
DIMENSIONS = ["quality", "attribute", "emotion", "interpretation", "enhancement", "context reasoning"]
COLOURS = ["red", "green", "blue", "yellow", "purple", "orange", "grey", "white", "black", "pink", "brown", "teal"]


def write_tiny_source(folder: Path) -> Path:
    """Writes a source folder of 8 training and 4 test pictures, 64 px each, all different.

    Every training picture has three critiques and two questions, every test picture the four tasks of AesBench.
    """
    (folder / "images").mkdir(parents=True)
    rows = [_source_row(number) for number in range(TRAIN_PICTURES + TEST_PICTURES)]
    for number, row in enumerate(rows):
        _picture(number).save(folder / "images" / row["file"])
    with (folder / "sources.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    train, test = range(TRAIN_PICTURES), range(TRAIN_PICTURES, TRAIN_PICTURES + TEST_PICTURES)
    write_json_lines(folder / "feedback.jsonl", [row for number in train for row in _feedback_rows(number)])
    write_json_lines(folder / "vqa.jsonl", [row for number in train for row in _question_rows(number)])
    write_json_lines(folder / "bench.jsonl", [_bench_row(number) for number in test])
    return folder


def write_json_lines(path: Path, rows: list[Any]) -> None:
    """Writes one JSON value a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_json_lines(path: Path) -> list[Any]:
    """Reads one JSON value a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _image_id(number: int) -> str:
    return f"{number:02}_{COLOURS[number]}"


def _picture(number: int) -> Image.Image:
    """A colour of its own with noise: compressible, but never equal to another."""
    random = np.random.default_rng(number)
    colour = random.integers(40, 216, 3)
    noise = random.integers(-40, 40, (SIDE, SIDE, 3))
    return Image.fromarray((colour + noise).astype(np.uint8))


def _source_row(number: int) -> dict[str, str]:
    source, dataset, scene = SOURCES[number % len(SOURCES)]
    return {
        "image_id": _image_id(number),
        "file": f"{_image_id(number)}.{'png' if number % 2 else 'jpg'}",
        "split": "train" if number < TRAIN_PICTURES else "test",
        "source": source,
        "dataset": dataset,
        "scene": scene,
        "degradation": "none",
        "original": "",
        "author": f"Painter {number}",
        "licence": "CC0-1.0" if number % 3 else "CC-BY-SA-4.0",
        "width": str(SIDE),
        "height": str(SIDE),
    }


def _feedback_rows(number: int) -> list[dict[str, Any]]:
    colour, grade = COLOURS[number], GRADES[number % len(GRADES)]
    texts = [
        ("grade", "How would you grade this picture?", f"This {colour} picture looks {grade}.", grade),
        ("reasons", "Why do you say so?", f"The {colour} surface is grainy, and its light is even.", None),
        ("feelings", "What does it make you feel?", f"The {colour} calms, though it hardly surprises.", None),
    ]
    return [
        {
            "image_id": _image_id(number),
            "annotator": f"tiny-{number % 2}",
            "part": part,
            "question": question,
            "critique": critique,
            "grade": label,
        }
        for part, question, critique, label in texts
    ]


def _question_rows(number: int) -> list[dict[str, Any]]:
    colour, dimension = COLOURS[number], DIMENSIONS[number % len(DIMENSIONS)]
    options = ["Yes", "No"] if number % 2 else [colour, COLOURS[(number + 1) % len(COLOURS)], "no colour at all"]
    return [
        {
            "image_id": _image_id(number),
            "question": f"Is this picture {colour}?" if number % 2 else "What is the colour of this picture?",
            "answer": options[0],
            "options": options,
            "question_type": "yes-no" if number % 2 else "what",
            "dimension": dimension,
            "format": "multiple-choice",
        },
        {
            "image_id": _image_id(number),
            "question": "Why does the picture calm?",
            "answer": f"Because its {colour} fills the frame — évidemment.",
            "options": [],
            "question_type": "why",
            "dimension": dimension,
            "format": "open-ended",
        },
    ]


def _bench_row(number: int) -> dict[str, Any]:
    colour = COLOURS[number]
    return {
        "image_id": _image_id(number),
        "perception": {
            "question": "Which colour fills the frame?",
            "options": ["ultramarine", colour, "ivory", "gold"],
            "answer": colour,
            "dimension": "color and light",
            "question_type": "what",
        },
        "empathy": {
            "question": "Does the picture calm?",
            "options": ["Yes", "No"],
            "answer": "Yes",
            "dimension": "emotion",
            "question_type": "yes-no",
        },
        "assessment": {
            "question": "How would you rate this picture?",
            "options": ["High", "Medium", "Low"],
            "answer": ["High", "Medium", "Low"][number % 3],
        },
        "interpretation": {
            "question": "Describe the beauty of this picture.",
            "reference": f"A {colour} surface of even light, calm and a little dull.",
        },
    }
