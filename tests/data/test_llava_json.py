"""LLaVA-style JSON read back into a source folder."""

import json

import pytest

from aesexpert.data import export_llava, read_llava_json, read_source
from aesexpert.data.examples import describe
from aesexpert.data.released import ReleaseError
from aesexpert.taxonomy import Split
from tiny_data import write_tiny_source


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava-json")
    write_tiny_source(folder / "source")
    export_llava(folder / "source", folder / "exported")
    return folder


def test_what_was_exported_is_read_back(exported, tmp_path):
    before = read_source(exported / "source")
    count = read_llava_json(exported / "exported" / "train.json", exported / "exported" / "images", tmp_path / "out")
    after = read_source(tmp_path / "out")
    training = {picture.image_id: picture for picture in before.pictures if picture.split is Split.TRAIN}
    found = {picture.image_id: picture for picture in after.pictures}
    assert count == len(found) and set(found) <= set(training)
    for image_id, picture in found.items():
        assert picture.path.read_bytes() == training[image_id].path.read_bytes()
        expected = describe(before, training[image_id])["instructions"]
        assert describe(after, picture)["instructions"] == expected


def test_a_missing_picture_and_a_broken_row_are_named(exported, tmp_path):
    rows = json.loads((exported / "exported" / "train.json").read_text())
    rows[0]["image"] = "elsewhere.jpg"
    (tmp_path / "missing.json").write_text(json.dumps(rows))
    with pytest.raises(ReleaseError, match=r"1 of \d+ pictures are not .*'elsewhere.jpg'"):
        read_llava_json(tmp_path / "missing.json", exported / "exported" / "images", tmp_path / "out")
    rows[1]["conversations"] = rows[1]["conversations"][:1]
    (tmp_path / "broken.json").write_text(json.dumps(rows))
    with pytest.raises(ReleaseError, match=r"broken.json, row 1 .*: expected pairs of turns; correct or remove it"):
        read_llava_json(tmp_path / "broken.json", exported / "exported" / "images", tmp_path / "out")
    assert not (tmp_path / "out").exists()
