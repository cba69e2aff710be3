import os
from pathlib import Path

import datasets
import pytest

from aesexpert import AesMMIT
from aesexpert.data import CONFIGS, FEATURES, SourceError, read_source
from tiny_data import read_json_lines, write_json_lines


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def build(folder: Path, cache: Path, config: str | None = None) -> datasets.DatasetDict:
    builder = AesMMIT(config, data_dir=folder, cache_dir=str(cache))
    builder.download_and_prepare()
    return builder.as_dataset()


@pytest.mark.parametrize("config", CONFIGS)
def test_configurations(folder: Path, cache: Path, config: str):
    built = build(folder, cache, config)
    assert built.num_rows == {"train": 7, "validation": 1, "test": 4}
    assert built["train"].features == FEATURES[config]


def test_default_configuration(folder: Path, cache: Path):
    row = build(folder, cache)["train"][0]
    assert row["instructions"][0]["response"] == "This red picture looks excellent."


def test_unknown_configuration(folder: Path, cache: Path):
    with pytest.raises(ValueError, match=r"'critiques' not found\. Available: \['instructions', 'feedback', 'vqa'\]"):
        AesMMIT("critiques", data_dir=folder, cache_dir=str(cache))


def test_picture_bytes_are_taken_over(folder: Path, cache: Path):
    built = build(folder, cache).cast_column("image", datasets.Image(decode=False))
    source = {picture.image_id: picture.path for picture in read_source(folder).pictures}
    for split in built.values():
        for row in split:
            assert row["image"]["bytes"] == source[row["image_id"]].read_bytes()


def test_same_content_is_built_once(folder: Path, cache: Path):
    build(folder, cache)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.arrow")}
    build(folder, cache)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.arrow")} == before


def test_a_changed_critique_is_seen(folder: Path, cache: Path):
    build(folder, cache, "feedback")
    rows = read_json_lines(folder / "feedback.jsonl")
    stat = (folder / "feedback.jsonl").stat()
    write_json_lines(folder / "feedback.jsonl", [rows[0] | {"critique": rows[0]["critique"].upper()}, *rows[1:]])
    os.utime(folder / "feedback.jsonl", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # neither time nor size tells
    row = build(folder, cache, "feedback")["train"][0]
    assert row["feedbacks"][0]["critique"] == "THIS RED PICTURE LOOKS EXCELLENT."


def test_a_changed_picture_is_seen(folder: Path, cache: Path):
    build(folder, cache)
    changed = (folder / "images" / "02_blue.jpg").read_bytes()
    (folder / "images" / "00_red.jpg").write_bytes(changed)
    row = build(folder, cache).cast_column("image", datasets.Image(decode=False))["train"][0]
    assert row["image_id"] == "00_red" and row["image"]["bytes"] == changed


def test_bad_sources_are_refused(folder: Path, cache: Path):
    (folder / "images" / "00_red.jpg").unlink()
    with pytest.raises(SourceError, match=r"sources\.csv, line 2: `file` is '00_red\.jpg', which does not exist"):
        build(folder, cache)
