"""AVA-Comments as a source folder."""

import pytest
from PIL import Image

from aesexpert.data import SourceError, read_ava_comments, read_source


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number, name in enumerate(("953619", "953958", "954184")):
        Image.new("RGB", (20, 10 + number), (number, 0, 0)).save(tmp_path / "pictures" / f"{name}.jpg")
    return tmp_path / "pictures"


def as_folder(tmp_path):
    comments = tmp_path / "comments"
    comments.mkdir()
    (comments / "953619.txt").write_text("Great light.\n\n  Great   light. \nToo dark for me\n")
    (comments / "953958.txt").write_text("Nice, \u2018sharp\u2019 focus.\n", encoding="utf-8")
    (comments / "954184.txt").write_text("\n")
    return comments


def as_table(tmp_path):
    table = tmp_path / "comments.csv"
    table.write_text(
        "image_id,comment\n953619,Great light.\n953619,Great light.\n953619,Too dark for me\n"
        '953958,"Nice, \u2018sharp\u2019 focus."\n',
        encoding="utf-8",
    )
    return table


@pytest.mark.parametrize("comments", [as_folder, as_table])
def test_comments_become_critiques(tmp_path, pictures, comments):
    assert read_ava_comments(comments(tmp_path), pictures, tmp_path / "source") == 2
    source = read_source(tmp_path / "source")
    assert [picture.image_id for picture in source.pictures] == ["953619", "953958"]
    critiques = {image_id: [f.critique for f in entries] for image_id, entries in source.feedback.items()}
    assert critiques == {"953619": ["Great light.", "Too dark for me"], "953958": ["Nice, \u2018sharp\u2019 focus."]}
    assert source.pictures[0].path.read_bytes() == (pictures / "953619.jpg").read_bytes()


def test_what_is_missing_is_named(tmp_path, pictures):
    comments = as_folder(tmp_path)
    (pictures / "953958.jpg").unlink()
    with pytest.raises(SourceError, match=r"comments is 953958, expected files in .*pictures; download them"):
        read_ava_comments(comments, pictures, tmp_path / "source")
    assert not (tmp_path / "source").exists()
    table = tmp_path / "comments.csv"
    table.write_text("id,text\n1,a\n")
    with pytest.raises(SourceError, match="`columns` is id, text, expected image_id and comment"):
        read_ava_comments(table, pictures, tmp_path / "source")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="expected comments"):
        read_ava_comments(tmp_path / "empty", pictures, tmp_path / "source")
