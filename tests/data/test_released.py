"""The published files of AesMMIT and AesBench, row by row."""

import json

import pytest

from aesexpert.data.origin import origin_of
from aesexpert.data.released import ReleaseError, find_pictures, image_ids, inside_images, read_annotations, read_rows
from aesexpert.data.released_bench import read_questions
from aesexpert.taxonomy import Source, SourceDataset
from archives import aesbench_members, llava_row


CHOICE = "Is it calm? Choose one from the following options:\nA) Yes\nB) No"


def test_rows_become_critiques_and_questions():
    rows = [
        llava_row("a.jpg", [("How is it?", "It is calm.")], type="description"),
        llava_row("a.jpg", [("Why?", "It is blue.")], type="VQA", qtype="Why"),
        llava_row("a.jpg", [(CHOICE, "A) Yes")], type="VQA", qtype="Yes-No"),
        llava_row("a.jpg", [(CHOICE, "Hard to say.")], type="VQA", qtype="Yes-No"),
        llava_row("a.jpg", [("Why?", "It is blue.")], type="VQA", qtype="Why"),
    ]
    found = read_annotations({"rows.json": rows})
    critique = {"question": "How is it?", "critique": "It is calm.", "annotator": "not given"}
    assert found.feedback == {"a.jpg": [critique]}
    questions = found.questions["a.jpg"]
    assert len(questions) == 3, "a row that stands twice counts once"
    assert [entry["question_type"] for entry in questions] == ["why", "yes-no", "yes-no"]
    assert [entry["format"] for entry in questions] == ["open-ended", "multiple-choice", "open-ended"]
    assert questions[1]["answer"] == "Yes" and questions[1]["options"] == ["Yes", "No"]
    assert questions[2]["question"] == CHOICE and questions[2]["answer"] == "Hard to say."


def test_unknown_labels_are_kept_and_counted():
    rows = [
        llava_row("a.jpg", [("Where?", "Here.")], type="VQA", qtype="Where"),
        llava_row("b.jpg", [("Where?", "There.")], type="VQA", qtype="Where"),
        llava_row("b.jpg", [("Sing!", "La.")], type="song"),
    ]
    found = read_annotations({"rows.json": rows})
    assert found.unknown_labels == {"qtype=Where": 2, "type=song": 1}
    assert set(found.unknown["b.jpg"]) == {"qtype=Where", "type=song"}
    assert [entry["question_type"] for entry in found.questions["b.jpg"]] == ["other", "other"]


@pytest.mark.parametrize(
    "row", [None, {}, {"image": ""}, {"image": "a.jpg"}, {"image": "a.jpg", "conversations": [{"from": "human"}]}]
)
def test_a_wrong_row_is_named(row: object):
    with pytest.raises(ReleaseError, match=r"rows\.json, row 1 \(counted from 0\): expected"):
        read_annotations({"rows.json": [llava_row("a.jpg", [("?", "!")]), row]})


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"[1]", b'[{"a": 1}]', b"\xff\xfe", b"[" * 100_000])
def test_files_that_are_no_rows(content: bytes):
    with pytest.raises(ReleaseError, match=r"rows\.json is no"):
        read_rows(content, "rows.json")


def test_pictures_are_found_by_the_end_of_their_path():
    members = dict.fromkeys(["AesMMIT/images/NI/a.jpg", "AesMMIT/images/b.jpg"])
    expected = {"NI/a.jpg": "AesMMIT/images/NI/a.jpg", "b.jpg": "AesMMIT/images/b.jpg"}
    assert find_pictures(["NI/a.jpg", "b.jpg"], members) == expected
    with pytest.raises(ReleaseError, match=r"1 of 2 pictures are not in the archive, 'AI/a.jpg' among them"):
        find_pictures(["AI/a.jpg", "b.jpg"], members)
    with pytest.raises(ReleaseError, match=r"'a.jpg' fits AI/a.jpg and NI/a.jpg"):
        find_pictures(["a.jpg"], dict.fromkeys(["NI/a.jpg", "AI/a.jpg"]))


def test_folders_that_all_pictures_share_are_left_out():
    assert inside_images(["a/b/x.jpg", "a/c/y.jpg"]) == {"a/b/x.jpg": "b/x.jpg", "a/c/y.jpg": "c/y.jpg"}
    assert inside_images(["a/x.jpg"]) == {"a/x.jpg": "x.jpg"}
    assert inside_images(["x.jpg", "a/y.jpg"]) == {"x.jpg": "x.jpg", "a/y.jpg": "a/y.jpg"}


def test_pictures_of_one_name_are_told_apart():
    assert image_ids(["x/a.jpg", "y/a.jpg", "y/b.jpg"]) == {
        "x/a.jpg": "x_a.jpg",
        "y/a.jpg": "y_a.jpg",
        "y/b.jpg": "b",
    }


@pytest.mark.parametrize(
    "path, dataset, source",
    [
        ("images/baid_18347.jpg", SourceDataset.BAID, Source.AI),
        ("AADB/7.jpg", SourceDataset.AADB, Source.NI),
        ("agiqa-3k_12.png", SourceDataset.AGIQA_3K, Source.AGI),
        ("AGIQA3K_12.png", SourceDataset.AGIQA_3K, Source.AGI),
        ("KonIQ-10K_5.jpg", SourceDataset.KONIQ_10K, Source.NI),
        ("AGI/77.png", SourceDataset.OTHER, Source.AGI),
        ("77.png", SourceDataset.OTHER, None),
        ("parade.png", SourceDataset.OTHER, None),
    ],
)
def test_origin_of_a_picture(path: str, dataset: SourceDataset, source: Source | None):
    assert origin_of(path) == (dataset, source)


def test_questions_of_the_benchmark():
    members = aesbench_members({"baid_1.jpg": b""})
    questions = read_questions(members["AesBench_evaluation.json"])
    assert questions["baid_1.jpg"]["perception"]["options"] == ["Blue", "Red", "Green", "Grey"]
    assert questions["baid_1.jpg"]["assessment"]["options"] == ["High", "Medium", "Low"]
    assert questions["baid_1.jpg"]["interpretation"] == {"question": "Describe its beauty."}


@pytest.mark.parametrize(
    "table, message",
    [
        ([], "no object"),
        ({"a.jpg": 1}, "picture 'a.jpg': expected an object"),
        ({"a.jpg": {}}, "picture 'a.jpg': expected at least one"),
        ({"a.jpg": {"AesI_data": {"Question": ""}}}, "AesI_data: expected a text"),
        ({"a.jpg": {"AesP_data": {"Question": "?", "Options": "none"}}}, "AesP_data: `Options` is 'none'"),
        ({"a.jpg": {"AesP_data": {"Question": "?", "Options": "A) x\nB) x"}}}, "AesP_data: `Options`"),
    ],
)
def test_a_wrong_question_is_named(table: object, message: str):
    with pytest.raises(ReleaseError, match=message):
        read_questions(json.dumps(table).encode())


def test_question_file_of_another_encoding():
    with pytest.raises(ReleaseError, match="is not JSON"):
        read_questions('{"ü": 1}'.encode("latin-1"))
