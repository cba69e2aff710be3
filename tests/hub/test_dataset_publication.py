"""What is published of a data set's folder."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aesexpert.data.card import fingerprint, read_facts
from aesexpert.hub.dataset import dataset_publication
from aesexpert.hub.errors import HubError
from aesexpert.hub.publication import Publication


@pytest.fixture
def folder(aesmmit: Path, tmp_path: Path) -> Path:
    return shutil.copytree(aesmmit, tmp_path / "aesmmit")


def publication(folder: Path, **changes: object) -> Publication:
    options: dict = {"licence": "other", "data_sources": ["AADB (photographs)", "my own"], **changes}
    return dataset_publication(folder, **options)


def test_files_and_card(folder: Path):
    prepared = publication(folder)
    assert list(prepared.files) == [
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
        "sources.csv",
    ]
    facts = read_facts(folder)
    card = prepared.make_card([b"1" * 32, b"2" * 32, b"3" * 32, b"table"])
    assert card.data.license == "other" and card.data.to_dict()["license_link"] == "sources.csv"
    assert fingerprint([b"1" * 32, b"2" * 32, b"3" * 32]) in str(card), "the table is not part of the data"
    assert f"{facts.size / 1e6:.1f} MB" in card.text
    for text in ["- AADB (photographs)", "- my own", "## Intended use", "## Biases and limits", "```bibtex"]:
        assert text in card.text
    assert facts.sample in card.text


def test_origin_of_the_built_card_is_kept(folder: Path):
    card = folder / "README.md"
    text = card.read_text().replace("The source folder says nothing about", "### Painters\n\nTwelve of them painted")
    card.write_text(text)
    assert "### Painters\n\nTwelve of them painted the origin" in publication(folder).make_card(()).text


def test_a_known_licence(folder: Path):
    data = publication(folder, licence="cc0-1.0").make_card(()).data.to_dict()
    assert data["license"] == "cc0-1.0" and "license_name" not in data


@pytest.mark.parametrize("changes", [{"licence": ""}, {"data_sources": []}, {"data_sources": [" "]}])
def test_licence_and_sources_are_needed(folder: Path, changes: dict):
    with pytest.raises(HubError, match="licence and its data sources"):
        publication(folder, **changes)


def remove_shard(folder: Path) -> None:
    shard = next(folder.glob("data/train-*"))
    shard.rename(shard.with_name("train-00000-of-00002.parquet"))


def add_stranger(folder: Path) -> None:
    shutil.copy(next(folder.glob("data/train-*")), folder / "data" / "more.parquet")


def damage(folder: Path) -> None:
    next(folder.glob("data/train-*")).write_bytes(b"PAR1 is not enough")


def drop_column(folder: Path) -> None:
    shard = next(folder.glob("data/train-*"))
    pq.write_table(pq.read_table(shard).drop_columns(["scene"]), shard)


def note_path(folder: Path) -> None:
    table = folder / "sources.csv"
    table.write_text(table.read_text().replace("Painter 3", "/home/painter/3"))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (remove_shard, r"incomplete or mixed \(train-00001-of-00002\.parquet\)"),
        (add_stranger, r"more\.parquet has a name"),
        (damage, r"train-00000-of-00001\.parquet is damaged"),
        (drop_column, "other columns than AesMMIT"),
        (note_path, "'/home/painter/3', a path of this machine"),
        (lambda folder: (folder / "sources.csv").unlink(), "is no data set"),
        (lambda folder: shutil.rmtree(folder / "data"), "is no data set"),
    ],
)
def test_a_folder_that_is_not_whole(folder: Path, spoil, message: str):
    spoil(folder)
    with pytest.raises(HubError, match=message):
        publication(folder)
