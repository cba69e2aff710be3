import csv
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aesexpert.data import SourceError, read_bench, read_source
from aesexpert.data.problems import SHOWN_PROBLEMS
from aesexpert.taxonomy import AnswerFormat, FeedbackPart, Grade, QuestionType, Source, SourceDataset, Split
from bad_sources import BENCH_CASES, CASES, Case, ids
from tiny_data import read_json_lines, write_json_lines, write_tiny_source


ROOT = Path(__file__).parents[2]
DEMO = ROOT / "dataset_scripts" / "demo"
SCRIPT = ROOT / "dataset_scripts" / "build_aesmmit.py"

SKIPPABLE = [case for case in CASES if case.skippable]


def problems_of(error: SourceError) -> list[str]:
    return [str(problem) for problem in error.problems]


def assert_named(case: Case, messages: list[str]) -> None:
    """One message is about the case: it stands on one line and says where, what, what was expected and what to do."""
    about = [message for message in messages if message.startswith(case.place)]
    assert len(about) == 1, messages
    assert all(word in about[0] for word in case.words), about[0]
    assert " is " in about[0] and ", expected " in about[0] and "; " in about[0]
    assert "\n" not in about[0]


class TestReading:
    def test_pictures(self, folder: Path):
        source = read_source(folder)
        assert len(source.pictures) == 12 and not source.problems
        first, fourth = source.pictures[0], source.pictures[3]
        assert (first.image_id, first.split, first.source) == ("00_red", Split.TRAIN, Source.NI)
        assert (first.dataset, first.scene) == (SourceDataset.AADB, "animal")
        assert first.path == folder / "images" / "00_red.jpg"
        assert first.extra["author"] == "Painter 0" and "split" not in first.extra
        assert fourth.dataset is SourceDataset.OTHER

    def test_annotations(self, folder: Path):
        source = read_source(folder)
        feedback = source.feedback["00_red"]
        assert [entry.part for entry in feedback] == list(FeedbackPart)
        assert [entry.grade for entry in feedback] == [Grade.EXCELLENT, None, None]
        choice, prose = source.questions["00_red"]
        assert choice.options == ("red", "green", "no colour at all") and choice.answer == "red"
        assert (choice.format, choice.question_type) == (AnswerFormat.MULTIPLE_CHOICE, QuestionType.WHAT)
        assert prose.options == () and prose.answer.endswith("évidemment.")

    def test_demo(self):
        source = read_source(DEMO)
        assert len(source.pictures) == 140
        assert sum(map(len, source.feedback.values())) == 412
        assert sum(map(len, source.questions.values())) == 1030
        assert len(read_bench(DEMO / "bench.jsonl")) == 37

    def test_records_cannot_be_changed(self, folder: Path):
        with pytest.raises(FrozenInstanceError):
            read_source(folder).pictures[0].scene = "plant"

    def test_data_set_column_can_be_missing(self, folder: Path):
        table = folder / "sources.csv"
        table.write_text(table.read_text().replace(",dataset,", ",sampled,", 1))
        pictures = read_source(folder).pictures
        assert {picture.dataset for picture in pictures} == {SourceDataset.OTHER}
        assert pictures[0].extra["sampled"] == "AADB"

    def test_byte_order_marks_line_ends_and_empty_lines_are_taken(self, folder: Path):
        for name in ("sources.csv", "feedback.jsonl"):
            content = (folder / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            (folder / name).write_bytes(b"\xef\xbb\xbf" + content + b"\r\n")
        source = read_source(folder)
        assert len(source.pictures) == 12 and len(source.feedback) == 8

    def test_lines_are_counted_in_the_file(self, folder: Path):
        table = folder / "sources.csv"
        text = table.read_text().replace("Painter 0", '"Painter\n0"')
        table.write_text(text.replace("02_blue.jpg,train", "02_blue.jpg,no"))
        with pytest.raises(SourceError) as raised:
            read_source(folder)
        assert problems_of(raised.value)[0].startswith("sources.csv, line 5: `split`")

    def test_pictures_in_subfolders_and_a_linked_folder(self, folder: Path, tmp_path: Path):
        (folder / "images" / "reds").mkdir()
        (folder / "images" / "00_red.jpg").rename(folder / "images" / "reds" / "00_red.jpg")
        (folder / "images").rename(tmp_path / "pictures")
        os.symlink(tmp_path / "pictures", folder / "images")
        table = folder / "sources.csv"
        table.write_text(table.read_text().replace("00_red.jpg", "reds/00_red.jpg"))
        assert read_source(folder).pictures[0].path.name == "00_red.jpg"

    def test_one_kind_of_annotation_is_enough(self, folder: Path):
        (folder / "feedback.jsonl").unlink()
        assert read_source(folder).feedback == {}


class TestBadSources:
    @pytest.mark.parametrize("case", CASES, ids=ids(CASES))
    def test_is_refused(self, case: Case, folder: Path):
        case.spoil(folder)
        with pytest.raises(SourceError) as raised:
            read_source(folder)
        assert_named(case, problems_of(raised.value))
        assert all(message in str(raised.value) for message in problems_of(raised.value))

    @pytest.mark.parametrize("case", SKIPPABLE, ids=ids(SKIPPABLE))
    def test_is_skipped_on_demand(self, case: Case, folder: Path):
        case.spoil(folder)
        source = read_source(folder, skip_bad=True)
        assert_named(case, list(map(str, source.problems)))
        known = {picture.image_id for picture in source.pictures}
        assert len(known) >= 11 and set(source.feedback) | set(source.questions) <= known
        annotations = [*source.feedback.values(), *source.questions.values()]
        assert 8 * 5 - 5 <= sum(map(len, annotations)) <= 8 * 5

    @pytest.mark.parametrize("case", [case for case in CASES if not case.skippable], ids=lambda case: case.name)
    def test_cannot_be_skipped(self, case: Case, folder: Path):
        case.spoil(folder)
        with pytest.raises(SourceError):
            read_source(folder, skip_bad=True)

    @pytest.mark.parametrize("case", CASES, ids=ids(CASES))
    def test_script_writes_nothing(self, case: Case, folder: Path, tmp_path: Path):
        case.spoil(folder)
        before = sorted(tmp_path.iterdir())
        run = subprocess.run([sys.executable, SCRIPT, folder, tmp_path / "out"], capture_output=True, text=True)
        assert run.returncode == 1 and run.stdout == ""
        assert_named(case, run.stderr.splitlines())
        assert "Traceback" not in run.stderr
        assert sorted(tmp_path.iterdir()) == before

    def test_all_problems_are_found_at_once(self, folder: Path):
        for case in ("unknown split", "truncated PNG", "unknown grade", "no such option"):
            next(entry for entry in CASES if entry.name == case).spoil(folder)
        with pytest.raises(SourceError) as raised:
            read_source(folder)
        assert str(raised.value).startswith("4 problems in the source folder")

    def test_annotations_of_a_bad_picture_are_no_problem_of_their_own(self, folder: Path):
        (folder / "images" / "00_red.jpg").unlink()
        with pytest.raises(SourceError) as raised:
            read_source(folder)
        assert len(raised.value.problems) == 1
        source = read_source(folder, skip_bad=True)
        assert "00_red" not in source.feedback and "00_red" not in source.questions

    def test_long_lists_of_problems_are_cut_in_the_message_only(self, folder: Path):
        rows = read_json_lines(folder / "vqa.jsonl") * 8
        write_json_lines(folder / "vqa.jsonl", [row | {"dimension": "x"} for row in rows])
        with pytest.raises(SourceError) as raised:
            read_source(folder)
        assert len(raised.value.problems) == len(rows)
        assert str(raised.value).endswith(f"... and {len(rows) - SHOWN_PROBLEMS} more")

    def test_long_values_are_cut(self, folder: Path):
        rows = read_json_lines(folder / "vqa.jsonl")
        write_json_lines(folder / "vqa.jsonl", [rows[0] | {"dimension": "x\n" * 10_000}])
        with pytest.raises(SourceError) as raised:
            read_source(folder)
        assert len(problems_of(raised.value)[0]) < 400

    def test_nothing_left(self, folder: Path):
        shutil.rmtree(folder / "images")
        with pytest.raises(SourceError, match="without a usable row"):
            read_source(folder, skip_bad=True)

    def test_no_folder(self, tmp_path: Path):
        with pytest.raises(SourceError, match=r"sources\.csv is missing"):
            read_source(tmp_path / "nowhere")


class TestBench:
    def test_records(self, folder: Path):
        records = read_bench(folder / "bench.jsonl")
        assert [record.image_id for record in records] == ["08_black", "09_pink", "10_brown", "11_teal"]
        record = records[0]
        assert record.picture.path == folder / "images" / "08_black.jpg"
        assert record.perception.options == ("ultramarine", "black", "ivory", "gold")
        assert (record.perception.answer, record.perception.dimension) == ("black", "color and light")
        assert (record.assessment.dimension, record.assessment.question_type) == ("", "")
        assert record.interpretation.reference.startswith("A black surface")

    def test_answers_and_tasks_can_be_missing(self, folder: Path):
        question = {"question": "Is it?", "options": ["yes", "no"], "answer": None}
        write_json_lines(folder / "flaws.jsonl", [{"image_id": "08_black", "perception": question, "empathy": None}])
        (record,) = read_bench(folder / "flaws.jsonl")
        assert record.perception.answer == "" and record.perception.dimension == ""
        assert record.empathy is record.assessment is record.interpretation is None

    def test_other_pictures_need_not_be_asked_about(self, folder: Path):
        assert len(read_bench(folder / "bench.jsonl")) < len(read_source(folder).pictures)

    @pytest.mark.parametrize("case", BENCH_CASES, ids=ids(BENCH_CASES))
    def test_is_refused(self, case: Case, folder: Path):
        case.spoil(folder)
        with pytest.raises(SourceError) as raised:
            read_bench(folder / "bench.jsonl")
        assert_named(case, problems_of(raised.value))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["image_id", "part", "question", "critique", "grade", "annotator", "answer", "options", "dimension", "format"]
ROWS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), JSON_VALUES, max_size=9)
BENCH_ROWS = st.fixed_dictionaries(
    {"image_id": st.just("08_black") | JSON_VALUES},
    optional=dict.fromkeys(["perception", "empathy", "assessment", "interpretation"], ROWS | JSON_VALUES),
)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_source(tmp_path_factory.mktemp("source") / "source")


class TestAnyInput:
    """Whatever stands in the files, reading them ends well or with a `SourceError`."""

    def check(self, folder: Path, name: str, content: bytes) -> None:
        before = (folder / name).read_bytes()
        try:
            (folder / name).write_bytes(content)
            for skip_bad in (False, True):
                try:
                    read_source(folder, skip_bad)
                    read_bench(folder / "bench.jsonl")
                except SourceError as error:
                    assert error.problems and all("\n" not in message for message in problems_of(error))
        finally:
            (folder / name).write_bytes(before)

    @pytest.mark.parametrize("name", ["sources.csv", "feedback.jsonl", "vqa.jsonl", "bench.jsonl"])
    @given(content=st.binary(max_size=300))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_bytes(self, shared_folder: Path, name: str, content: bytes):
        self.check(shared_folder, name, content)
        self.check(shared_folder, name, (shared_folder / name).read_bytes() + content)

    @pytest.mark.parametrize("name", ["feedback.jsonl", "vqa.jsonl", "bench.jsonl"])
    @given(rows=st.lists(ROWS | BENCH_ROWS, max_size=4))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_json(self, shared_folder: Path, name: str, rows: list):
        self.check(shared_folder, name, "".join(json.dumps(row) + "\n" for row in rows).encode())

    @given(cells=st.lists(st.text(max_size=12), min_size=12, max_size=12))
    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_cells(self, shared_folder: Path, cells: list[str]):
        text = io.StringIO()
        csv.writer(text).writerow(cells)
        content = (shared_folder / "sources.csv").read_bytes() + text.getvalue().encode("utf-8", "surrogatepass")
        self.check(shared_folder, "sources.csv", content)


def test_originals(folder: Path):
    picture = read_source(folder).pictures[0]
    assert picture.original == "00_red"
    assert replace(picture, extra={"original": "09_pink"}).original == "09_pink"
