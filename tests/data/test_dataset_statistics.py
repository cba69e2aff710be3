from pathlib import Path

import pytest

from aesexpert.data import dataset_statistics, read_source, source_statistics, write_dataset
from aesexpert.data.statistics import STOP_WORDS, TOP_WORDS
from tiny_data import read_json_lines, write_json_lines


ROOT = Path(__file__).parents[2]


def test_counts(folder: Path):
    statistics = source_statistics(read_source(folder))
    assert statistics.pictures == 12
    assert statistics.splits == {"train": 7, "validation": 1, "test": 4}
    assert statistics.sources == {"NI": 6, "AI": 3, "AGI": 3}
    found = {name: count for name, count in statistics.datasets.items() if count}
    assert found == {"AADB": 3, "BAID": 3, "DiffusionDB": 3, "other": 3}
    assert statistics.scenes == {"animal": 3, "fantasy": 3, "plant": 3, "portrait": 3}
    assert statistics.parts == {"grade": 8, "reasons": 8, "feelings": 8}
    assert statistics.grades == {"excellent": 2, "good": 2, "average": 2, "poor": 1, "bad": 1}
    assert statistics.question_types == {"yes-no": 4, "what": 4, "how": 0, "why": 8, "other": 0}
    assert statistics.dimensions["quality"] == 4 and sum(statistics.dimensions.values()) == 16
    assert statistics.formats == {"open-ended": 8, "multiple-choice": 8}
    assert statistics.kinds == {"description": 24, "vqa": 16}


def test_words_are_those_of_prose(folder: Path):
    rows = read_json_lines(folder / "feedback.jsonl")
    texts = ["Light, light and LIGHT!", "The sun's light. Colour; composition?", "It is of no colour."]
    write_json_lines(
        folder / "feedback.jsonl", [row | {"critique": text} for row, text in zip(rows, texts, strict=False)]
    )
    (folder / "vqa.jsonl").unlink()
    assert source_statistics(read_source(folder)).words == {"light": 4, "colour": 2, "composition": 1, "sun": 1}


def test_words_of_the_demo():
    words = source_statistics(read_source(ROOT / "dataset_scripts" / "demo")).words
    assert len(words) == TOP_WORDS and list(words.values()) == sorted(words.values(), reverse=True)
    assert "light" in words and not STOP_WORDS & set(words)


def test_a_written_data_set_counts_the_same(folder: Path, tmp_path: Path):
    source = read_source(folder)
    out = write_dataset(source, tmp_path / "out", ROOT / "model_cards" / "dataset_card.md")
    assert dataset_statistics(out) == source_statistics(source)


def test_no_data_set(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no data/\*\.parquet"):
        dataset_statistics(tmp_path)


def test_markdown(folder: Path):
    text = source_statistics(read_source(folder)).to_markdown()
    assert "| Source | Data set | Pictures | The paper's |" in text
    assert "| AGI | DiffusionDB | 3 | 4,228 |" in text
    assert "| | all | 12 | 21,904 |" in text
    assert "| Critiques by grade | |\n|---|--:|\n| excellent | 2 |\n| good | 2 |" in text


def test_tables_without_counts_are_left_out(folder: Path):
    (folder / "feedback.jsonl").unlink()
    text = source_statistics(read_source(folder)).to_markdown()
    assert "Critiques by" not in text and "Questions by type" in text
