import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFilter

from aesexpert.data import SourceFolder, read_bench, read_source
from aesexpert.taxonomy import Split
from tiny_data import read_json_lines, write_json_lines, write_tiny_source


OF_A_PICTURE = 2  # questions about each version of a picture: the flaw with options, and one more
FLAW = "What is the main technical flaw of this picture?"
LOOK = "What does a close look at this picture show?"
SHARPNESS = "Is this picture sharp?"
EXPOSURE = "How is the exposure of this picture?"
QUALITY = "How is the technical quality of this picture?"
SCRIPT = Path(__file__).parents[2] / "dataset_scripts" / "damage_pictures.py"
KINDS = ["gaussian-blur", "gaussian-noise", "underexposed", "overexposed", "jpeg", "low-resolution", "low-contrast"]


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("damage_pictures")


@pytest.fixture(scope="module")
def damaged(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `source`, `out` and `bench`."""
    folder = tmp_path_factory.mktemp("damaged")
    write_tiny_source(folder / "source")
    assert run(script, folder / "source", folder / "out", "--bench-out", folder / "bench") == 0
    return folder


@pytest.fixture(scope="module")
def source(damaged: Path) -> SourceFolder:
    return read_source(damaged / "out")


def run(script: ModuleType, *arguments: object) -> int:
    return script.main([str(argument) for argument in arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "sources.csv").open(newline="") as file:
        return {row["image_id"]: row for row in csv.DictReader(file)}


class TestPictures:
    def test_every_picture_in_every_kind(self, source: SourceFolder):
        ids = {picture.image_id for picture in source.pictures}
        originals = [picture for picture in source.pictures if picture.extra["degradation"] == "none"]
        assert len(originals) == 12 and len(ids) == 12 * 8
        assert {f"{picture.image_id}_{kind}" for picture in originals for kind in KINDS} < ids

    def test_originals_are_untouched(self, damaged: Path):
        before, after = contents(damaged / "source" / "images"), contents(damaged / "out" / "images")
        assert before.items() <= after.items()

    def test_rows(self, damaged: Path):
        rows = table(damaged / "out")
        row, original = rows["00_red_jpeg"], rows["00_red"]
        assert row["original"] == "00_red" and row["note"] == "damaged on purpose"
        assert row["degradation"].startswith("jpeg:")
        for column in ("split", "source", "dataset", "scene", "author", "licence", "width", "height"):
            assert row[column] == original[column]
        picture = damaged / "out" / "images" / row["file"]
        assert row["sha256"] == sha256(picture.read_bytes()).hexdigest()

    def test_strengths_are_in_range_and_vary(self, script: ModuleType, source: SourceFolder):
        for kind, damage in script.DAMAGES.items():
            recorded = [picture.extra["degradation"] for picture in source.pictures]
            strengths = [float(text.split(":")[1]) for text in recorded if text.startswith(kind)]
            assert len(strengths) == 12 and len(set(strengths)) > 2
            assert all(damage.strengths[0] <= strength <= damage.strengths[1] for strength in strengths)

    def test_damage_is_what_its_name_says(self, script: ModuleType):
        gradient = np.linspace(60, 190, 96 * 96).reshape(96, 96)
        checks = np.kron(np.indices((12, 12)).sum(0) % 2, np.ones((8, 8))) * 40 - 20
        picture = Image.fromarray(np.stack([gradient + checks] * 3, -1).astype(np.uint8))

        def apply(kind: str) -> np.ndarray:
            damage = script.DAMAGES[kind]
            return np.asarray(damage.apply(picture, sum(damage.strengths) / 2, 7), dtype=float)

        def edges(pixels: np.ndarray) -> float:
            found = Image.fromarray(pixels.astype(np.uint8)).convert("L").filter(ImageFilter.FIND_EDGES)
            return float(np.asarray(found, dtype=float)[2:-2, 2:-2].std())

        plain = np.asarray(picture, dtype=float)
        assert edges(apply("gaussian-blur")) < 0.5 * edges(plain)
        assert edges(apply("low-resolution")) < 0.8 * edges(plain)
        assert edges(apply("gaussian-noise")) > 2 * edges(plain)
        assert apply("underexposed").mean() < 0.6 * plain.mean()
        assert apply("overexposed").mean() > 1.3 * plain.mean()
        assert apply("low-contrast").std() < 0.5 * plain.std()
        assert all(apply(kind).shape == plain.shape for kind in KINDS)

    def test_compression_is_in_the_file(self, damaged: Path):
        images = damaged / "out" / "images"
        assert (images / "00_red_jpeg.jpg").stat().st_size < 0.5 * (images / "00_red_low-contrast.jpg").stat().st_size
        with Image.open(images / "00_red_low-contrast.jpg") as picture:
            assert max(picture.quantization[0]) < 25  # quality 95

    def test_pictures_damaged_before_get_no_copies(self, script: ModuleType, folder: Path, tmp_path: Path):
        text = (folder / "sources.csv").read_text().replace("plant,none,", "plant,tilt:4,")
        (folder / "sources.csv").write_text(text)
        assert run(script, folder, tmp_path / "out") == 0
        rows = table(tmp_path / "out")
        assert len(rows) == 12 + 9 * 7
        assert rows["03_yellow"]["degradation"] == "tilt:4" and "03_yellow_jpeg" not in rows

    def test_columns_need_not_be_there(self, script: ModuleType, folder: Path, tmp_path: Path):
        header, rest = (folder / "sources.csv").read_text().split("\n", 1)
        (folder / "sources.csv").write_text(header.replace("degradation,original", "year,place") + "\n" + rest)
        assert run(script, folder, tmp_path / "out") == 0
        assert table(tmp_path / "out")["00_red"]["degradation"] == "none"
        assert table(tmp_path / "out")["00_red_jpeg"]["original"] == "00_red"


class TestQuestions:
    def test_earlier_annotations_are_kept(self, damaged: Path):
        for name in ("feedback.jsonl", "bench.jsonl"):
            assert (damaged / "out" / name).read_bytes() == (damaged / "source" / name).read_bytes()
        before = (damaged / "source" / "vqa.jsonl").read_bytes()
        assert (damaged / "out" / "vqa.jsonl").read_bytes().startswith(before)

    @pytest.mark.parametrize(
        ("image_id", "answers"),
        [
            ("00_red", ("No flaw", "Yes", "Well exposed", "High", "Nothing technical disturbs")),
            ("00_red_gaussian-blur", ("Blur", "No", "Well exposed", "Low", "Fine detail is softened")),
            ("00_red_gaussian-noise", ("Noise", "Yes", "Well exposed", "Low", "Coloured specks cover it")),
            ("00_red_underexposed", ("Too dark", "Yes", "Too dark", "Low", "Shadows swallow the detail")),
            ("00_red_overexposed", ("Too bright", "Yes", "Too bright", "Low", "Highlights are bleached white")),
            ("00_red_jpeg", ("Compression blocks", "Yes", "Well exposed", "Low", "Square blocks break it")),
            ("00_red_low-resolution", ("Low resolution", "No", "Well exposed", "Low", "Its pixels look coarse")),
            ("00_red_low-contrast", ("Flat contrast", "Yes", "Well exposed", "Low", "Its tones are greyish")),
        ],
    )
    def test_answers(self, source: SourceFolder, image_id: str, answers: tuple[str, ...]):
        of_one_seed = source.questions[image_id][-OF_A_PICTURE:]
        others = dict(zip((SHARPNESS, EXPOSURE, QUALITY), answers[1:4], strict=True)) | {LOOK: answers[4]}
        for question in of_one_seed:
            assert question.answer == others.get(question.question, answers[0])
            assert question.dimension == "quality"
        assert (of_one_seed[0].question, len(of_one_seed[0].options)) == (FLAW, 8)

    def test_versions_of_a_picture_are_asked_the_same(self, source: SourceFolder):
        asked = {
            image_id: [question.question for question in questions[-OF_A_PICTURE:]]
            for image_id, questions in source.questions.items()
        }
        for picture in source.pictures:
            if picture.image_id in asked and picture.is_damaged:
                assert asked[picture.image_id] == asked[picture.original]

    def test_all_kinds_of_question_are_asked(self, script: ModuleType):
        asked = [script._questions("a", script.DAMAGES["jpeg"], f"original {i}")[1] for i in range(100)]
        kinds = {(row["question"], row["format"]): len(row["options"]) for row in asked}
        assert kinds.pop((LOOK, "multiple-choice")) == 8
        for question, options in ((SHARPNESS, 2), (EXPOSURE, 3), (QUALITY, 2)):
            assert kinds.pop((question, "multiple-choice")) == options
        assert {form for _, form in kinds} == {"open-ended"} and len(kinds) == 4  # wordings of the flaw

    def test_looks_are_answered_by_letters_in_another_order_for_every_original(self, script: ModuleType):
        asked = [script._questions("a", script.DAMAGES["jpeg"], f"original {i}")[1] for i in range(100)]
        looks = [tuple(row["options"]) for row in asked if row["question"] == LOOK]
        assert len(set(looks)) > 30
        assert all(len(option.split()) > 2 for option in looks[0])

    @pytest.mark.parametrize("question", [FLAW, LOOK])
    def test_answers_are_balanced_over_options(self, source: SourceFolder, question: str):
        asked = [each for questions in source.questions.values() for each in questions if each.question == question]
        with_options = [each for each in asked if len(each.options) == 8]
        answers = Counter(each.answer for each in with_options)
        positions = Counter(each.options.index(each.answer) for each in with_options)
        for counts in (answers, positions):
            assert len(counts) == 8 and len(set(counts.values())) == 1
        assert len(with_options) == 8 * 8 or question == LOOK  # every version is asked for its flaw

    def test_test_pictures_are_not_asked_about_in_training(self, source: SourceFolder):
        test = {picture.image_id for picture in source.pictures if picture.split is Split.TEST}
        assert not test & set(source.questions)

    def test_flaws_of_test_pictures(self, damaged: Path):
        records = read_bench(damaged / "out" / "flaws.jsonl")
        assert len(records) == 4 * 8
        assert {record.picture.split for record in records} == {Split.TEST}
        assert Counter(record.perception.answer for record in records) == dict.fromkeys(
            records[0].perception.options, 4
        )
        assert {record.perception.dimension for record in records} == {"technical quality"}
        assert all(record.empathy is record.assessment is record.interpretation is None for record in records)

    def test_description_says_so(self, damaged: Path):
        assert "84 more pictures are copies damaged on purpose" in (damaged / "out" / "README.md").read_text()


class TestBenchFolder:
    def test_holds_the_test_pictures_only(self, damaged: Path):
        bench = damaged / "bench"
        assert {path.name for path in bench.iterdir()} == {"images", "sources.csv", "bench.jsonl", "flaws.jsonl"}
        assert len(table(bench)) == len(list((bench / "images").iterdir())) == 4 * 8
        assert {row["split"] for row in table(bench).values()} == {"test"}

    def test_reads(self, damaged: Path):
        assert len(read_bench(damaged / "bench" / "bench.jsonl")) == 4
        assert len(read_bench(damaged / "bench" / "flaws.jsonl")) == 32


class TestScript:
    def test_same_seed_same_bytes(self, script: ModuleType, damaged: Path, tmp_path: Path):
        command = [sys.executable, SCRIPT, damaged / "source", tmp_path / "again", "--bench-out", tmp_path / "bench"]
        finished = subprocess.run(command, capture_output=True, text=True)
        assert finished.returncode == 0 and finished.stderr == ""
        assert "again: 96 pictures\n" in finished.stdout and "bench: 32 pictures\n" in finished.stdout
        assert contents(tmp_path / "again") == contents(damaged / "out")
        assert contents(tmp_path / "bench") == contents(damaged / "bench")

    def test_another_seed_other_damage(self, script: ModuleType, damaged: Path, tmp_path: Path):
        assert run(script, damaged / "source", tmp_path / "out", "--seed", 1) == 0
        before, after = contents(damaged / "out" / "images"), contents(tmp_path / "out" / "images")
        assert sum(before[name] != after[name] for name in before) > 70

    def test_running_again_replaces(self, script: ModuleType, folder: Path, tmp_path: Path):
        for seed in (0, 1):
            assert run(script, folder, tmp_path / "out", "--bench-out", tmp_path / "bench", "--seed", seed) == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bench", "out", "source"]

    def test_bad_input(self, script: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        rows = read_json_lines(folder / "feedback.jsonl")
        write_json_lines(folder / "feedback.jsonl", [rows[0] | {"grade": "fine"}])
        assert run(script, folder, tmp_path / "out", "--bench-out", tmp_path / "bench") == 1
        assert "feedback.jsonl, line 1: `grade` is 'fine'" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["source"]

    def test_clashing_names(
        self, script: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        for name in ("sources.csv", "feedback.jsonl", "vqa.jsonl"):
            text = (folder / name).read_text().replace("01_green", "00_red_jpeg")
            (folder / name).write_text(text)
        (folder / "images" / "01_green.png").rename(folder / "images" / "00_red_jpeg.png")
        assert run(script, folder, tmp_path / "out") == 1
        assert "names that copies would get: 00_red_jpeg" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("out", ["source", "other"])
    def test_other_folders_are_refused(
        self, script: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
    ):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "flaws.jsonl").write_text("")
        (tmp_path / "other" / "mine.txt").write_text("precious")
        before = contents(tmp_path)
        assert run(script, folder, tmp_path / out) == 1
        assert "was not written by this command" in capsys.readouterr().err
        assert contents(tmp_path) == before

    def test_lines_are_plain_json(self, damaged: Path):
        lines = (damaged / "out" / "flaws.jsonl").read_text().splitlines()
        assert [list(json.loads(line)) for line in lines] == [["image_id", "perception"]] * 32
