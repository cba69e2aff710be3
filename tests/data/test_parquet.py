import re
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from aesexpert.data import CONFIGS, FEATURES, parquet, read_source, write_dataset
from aesexpert.data.rows import Row, read_csv
from tiny_data import read_json_lines, write_json_lines, write_tiny_source


TEMPLATE = Path(__file__).parents[2] / "model_cards" / "dataset_card.md"
SIZES = {"train": 7, "validation": 1, "test": 4}


@pytest.fixture(scope="module")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_source(tmp_path_factory.mktemp("source") / "source")


@pytest.fixture(scope="module")
def aesmmit(source_folder: Path) -> Path:
    return write_dataset(read_source(source_folder), source_folder.parent / "aesmmit", TEMPLATE)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("config", [None, *CONFIGS])
def test_round_trip(aesmmit: Path, cache: str, config: str | None):
    loaded = datasets.load_dataset(str(aesmmit), config, cache_dir=cache)
    assert loaded.num_rows == SIZES
    for split in loaded:
        assert loaded[split].features == FEATURES[config or "instructions"]


@pytest.mark.parametrize("config", [None, *CONFIGS])
def test_streaming(aesmmit: Path, cache: str, config: str | None):
    loaded = datasets.load_dataset(str(aesmmit), config, streaming=True)
    cached = datasets.load_dataset(str(aesmmit), config, cache_dir=cache)
    for split in SIZES:
        assert loaded[split].features == cached[split].features
        plain = datasets.Image(decode=False)
        rows = list(loaded[split].cast_column("image", plain))
        assert rows == list(cached[split].cast_column("image", plain))


def test_pictures_are_taken_over_byte_for_byte(aesmmit: Path, source_folder: Path, cache: str):
    loaded = datasets.load_dataset(str(aesmmit), cache_dir=cache).cast_column("image", datasets.Image(decode=False))
    pictures = {picture.image_id: picture for picture in read_source(source_folder).pictures}
    rows = [row for split in loaded.values() for row in split]
    assert len(rows) == len(pictures) == 12
    for row in rows:
        path = pictures[row["image_id"]].path
        assert row["image"] == {"bytes": path.read_bytes(), "path": path.name}


def test_pictures_decode(aesmmit: Path, cache: str):
    assert datasets.load_dataset(str(aesmmit), cache_dir=cache)["train"][0]["image"].size == (64, 64)


def test_annotations_come_back(aesmmit: Path, source_folder: Path, cache: str):
    source = read_source(source_folder)
    feedback = datasets.load_dataset(str(aesmmit), "feedback", cache_dir=cache)["train"]
    names = feedback.features["feedbacks"].feature
    for row in feedback:
        for entry, expected in zip(row["feedbacks"], source.feedback[row["image_id"]], strict=True):
            assert names["part"].int2str(entry["part"]) == expected.part
            grade = None if entry["grade"] is None else names["grade"].int2str(entry["grade"])
            assert grade == expected.grade
            assert (entry["question"], entry["critique"]) == (expected.question, expected.critique)
            assert entry["annotator"] == expected.annotator
    vqa = datasets.load_dataset(str(aesmmit), "vqa", cache_dir=cache)["train"]
    names = vqa.features["questions"].feature
    for row in vqa:
        for entry, asked in zip(row["questions"], source.questions[row["image_id"]], strict=True):
            assert names["question_type"].int2str(entry["question_type"]) == asked.question_type
            assert names["dimension"].int2str(entry["dimension"]) == asked.dimension
            assert names["format"].int2str(entry["format"]) == asked.format
            assert tuple(entry["options"]) == asked.options
            assert (entry["question"], entry["answer"]) == (asked.question, asked.answer)


def test_instructions_are_what_training_reads(aesmmit: Path, cache: str):
    row = datasets.load_dataset(str(aesmmit), cache_dir=cache)["train"][0]
    assert row["image_id"] == "00_red"
    assert [entry["kind"] for entry in row["instructions"]] == [0, 0, 0, 1, 1]
    assert row["instructions"][0] == {
        "prompt": "How would you grade this picture?",
        "response": "This red picture looks excellent.",
        "kind": 0,
    }
    choice = row["instructions"][3]
    assert choice["response"] == "A" and choice["prompt"].endswith("without explanation.")


def test_pictures_without_annotations_have_empty_lists(aesmmit: Path, cache: str):
    assert all(row["instructions"] == [] for row in datasets.load_dataset(str(aesmmit), cache_dir=cache)["test"])


def test_one_set_of_files_with_all_columns(aesmmit: Path):
    assert sorted(contents(aesmmit)) == [
        "README.md",
        *(f"data/{split}-00000-of-00001.parquet" for split in sorted(SIZES)),
        "sources.csv",
    ]
    schema = pq.read_schema(aesmmit / "data" / "train-00000-of-00001.parquet")
    assert {"feedbacks", "questions", "instructions", "image"} <= set(schema.names)


def test_sources_travel_with_the_pictures(aesmmit: Path):
    problems: list = []
    rows: list[Row] = list(read_csv(aesmmit / "sources.csv", ("image_id", "split", "licence"), problems))
    assert not problems and len(rows) == 12
    assert rows[0].values["licence"] == "CC-BY-SA-4.0"
    assert [row.values["split"] for row in rows].count("validation") == 1


class TestCard:
    def test_header(self, aesmmit: Path):
        card = DatasetCard.load(aesmmit / "README.md")
        data = card.data.to_dict()
        assert [config["config_name"] for config in data["configs"]] == list(CONFIGS)
        assert [config.get("default") for config in data["configs"]] == [True, None, None]
        files = [config["data_files"] for config in data["configs"]]
        assert files[0] == files[1] == files[2]
        assert data["license"] == "other" and data["license_link"] == "sources.csv"
        assert data["size_categories"] == "n<1K"

    def test_text_says_what_is_in_it(self, aesmmit: Path):
        text = (aesmmit / "README.md").read_text()
        for words in [
            "12 pictures with\n40 instructions",
            "| NI | AADB | 3 | 1,096 |",
            "| other | CC0-1.0 | 2 |",
            "| AADB | CC-BY-SA-4.0 | 1 |",
            "under 2 pseudonyms",
            '"prompt": "How would you grade this picture?"',
            "| validation | 1 |",
            "says nothing about the origin",
        ]:
            assert words in text
        assert "{{" not in text and "{%" not in text

    def test_description_of_the_source_is_taken_over(self, folder: Path, tmp_path: Path):
        (folder / "README.md").write_text(
            "# A title\n\nWritten by a *machine*: {{ 1 + 1 }}.\n\n## Pictures\n\nTwelve.\n"
        )
        text = (write_dataset(read_source(folder), tmp_path / "out", TEMPLATE) / "README.md").read_text()
        assert "Written by a *machine*: {{ 1 + 1 }}.\n\n### Pictures\n\nTwelve.\n" in text
        assert "# A title" not in text

    def test_without_licences(self, folder: Path, tmp_path: Path):
        table = folder / "sources.csv"
        table.write_text(table.read_text().replace("licence", "colour", 1))
        out = write_dataset(read_source(folder), tmp_path / "out", TEMPLATE)
        assert DatasetCard.load(out / "README.md").data.license == "unknown"
        assert "| AADB | not given | 3 |" in (out / "README.md").read_text()

    def test_no_paths_of_the_machine(self, aesmmit: Path):
        assert all(str(aesmmit.parent).encode() not in content for content in contents(aesmmit).values())


class TestWriting:
    def test_same_bytes_again(self, aesmmit: Path, source_folder: Path, tmp_path: Path):
        again = write_dataset(read_source(source_folder), tmp_path / "again", TEMPLATE)
        assert contents(again) == contents(aesmmit)

    def test_several_files(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 2)
        monkeypatch.setattr(parquet, "SHARD_BYTES", 30_000)
        out = write_dataset(read_source(folder), tmp_path / "out", TEMPLATE)
        names = sorted(path.name for path in (out / "data").glob("train-*"))
        assert len(names) > 1
        assert names == [f"train-{number:05}-of-{len(names):05}.parquet" for number in range(len(names))]
        assert max(path.stat().st_size for path in (out / "data").iterdir()) < 60_000
        loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
        assert loaded.num_rows == SIZES
        ids = [picture.image_id for picture in read_source(folder).pictures]
        assert [row["image_id"] for row in loaded["train"]] == [
            image_id for image_id in ids[:8] if image_id not in loaded["validation"]["image_id"]
        ]

    def test_row_groups_are_bounded(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 1)
        out = write_dataset(read_source(folder), tmp_path / "out", TEMPLATE)
        assert pq.ParquetFile(out / "data" / "train-00000-of-00001.parquet").num_row_groups == 7

    def test_rebuilding_replaces(self, folder: Path, tmp_path: Path):
        """The cache of `load_dataset`, which does not look at data files, has to notice it too."""
        rows = read_json_lines(folder / "feedback.jsonl")
        for critique in ("This red picture looks excellent.", "This bad picture looks excellent."):
            write_json_lines(folder / "feedback.jsonl", [rows[0] | {"critique": critique}, *rows[1:]])
            out = write_dataset(read_source(folder), tmp_path / "out", TEMPLATE)
            loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
            assert loaded["train"][0]["instructions"][0]["response"] == critique

    def test_other_folders_are_not_replaced(self, folder: Path, tmp_path: Path):
        out = write_dataset(read_source(folder), tmp_path / "out", TEMPLATE)
        (out / "notes.txt").write_text("mine")
        for target in (out, folder):
            before = contents(target)
            with pytest.raises(FileExistsError, match=re.escape(str(target))):
                write_dataset(read_source(folder), target, TEMPLATE)
            assert contents(target) == before

    def test_failure_leaves_nothing(self, folder: Path, tmp_path: Path):
        source = read_source(folder)
        source.pictures[-1].path.unlink()
        before = sorted(tmp_path.iterdir())
        with pytest.raises(FileNotFoundError):
            write_dataset(source, tmp_path / "out", TEMPLATE)
        assert sorted(tmp_path.iterdir()) == before
