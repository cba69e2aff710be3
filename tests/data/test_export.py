"""AesMMIT as LLaVA-style JSON."""

import json

import pytest

from aesexpert.cli import main
from aesexpert.data import export_llava, read_source
from aesexpert.data.examples import describe
from aesexpert.data.parquet import write_dataset
from aesexpert.data.splits import by_split
from tiny_data import write_tiny_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write_tiny_source(folder / "source")
    write_dataset(read_source(folder / "source"), folder / "aesmmit", "model_cards/dataset_card.md")
    return folder


@pytest.mark.parametrize("kind", ["source", "aesmmit"])
def test_rows_and_pictures_are_those_of_the_source(source, kind, tmp_path, capsys):
    main(["data", "export", str(source / kind), str(tmp_path / "out"), "--format", "llava"])
    content = read_source(source / "source")
    for split, pictures in by_split(content.pictures).items():
        if not pictures:
            continue
        rows = json.loads((tmp_path / "out" / f"{split}.json").read_text(encoding="utf-8"))
        assert f"{split}.json: {len(rows)} instructions" in capsys.readouterr().out or split != "train"
        expected = [
            (picture.image_id, instruction["prompt"], instruction["response"], instruction["kind"])
            for picture in pictures
            for instruction in describe(content, picture)["instructions"]
        ]
        found = []
        for row in rows:
            human, model = row["conversations"]
            assert (human["from"], model["from"]) == ("human", "gpt") and human["value"].startswith("<image>\n")
            found.append((row["image"].rsplit(".", 1)[0], human["value"][8:], model["value"], row["type"]))
        assert found == expected
        assert len({row["id"] for row in rows}) == len(rows)
        for picture in pictures:
            (file,) = (tmp_path / "out" / "images").glob(f"{picture.image_id}.*")
            assert file.read_bytes() == picture.path.read_bytes()


def test_an_output_that_is_there_is_not_replaced(source, tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(FileExistsError):
        export_llava(source / "source", tmp_path)
    assert (tmp_path / "kept").read_text() == "mine"
