import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import datasets
import pytest

from aesexpert.data import parquet


SCRIPT = Path(__file__).parents[2] / "dataset_scripts" / "build_aesmmit.py"


@pytest.fixture
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("build_aesmmit")


def run(script: ModuleType, *arguments: object) -> int:
    return script.main([str(argument) for argument in arguments])


def test_builds_and_says_what(folder: Path, tmp_path: Path):
    out = tmp_path / "out" / "aesmmit"
    finished = subprocess.run([sys.executable, SCRIPT, folder, out], capture_output=True, text=True)
    assert finished.returncode == 0 and finished.stderr == ""
    assert finished.stdout.startswith(f"{out}: 12 pictures, 40 instructions\n")
    assert "| NI | AADB | 3 | 1,096 |" in finished.stdout
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == {"train": 7, "validation": 1, "test": 4}


def test_bad_input(script: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "images" / "00_red.jpg").unlink()
    assert run(script, folder, tmp_path / "out") == 1
    output = capsys.readouterr()
    assert output.out == "" and not (tmp_path / "out").exists()
    assert output.err.splitlines() == [
        f"1 problem in the source folder {folder}:",
        "sources.csv, line 2: `file` is '00_red.jpg', which does not exist, expected a file in images/; "
        "add it or remove the row",
    ]


def test_bad_input_leaves_an_earlier_build_alone(script: ModuleType, folder: Path, tmp_path: Path):
    assert run(script, folder, tmp_path / "out") == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (folder / "images" / "00_red.jpg").unlink()
    assert run(script, folder, tmp_path / "out") == 1
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_skip_bad(script: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "images" / "00_red.jpg").unlink()
    with (folder / "vqa.jsonl").open("a") as file:
        file.write("oops\n")
    assert run(script, folder, tmp_path / "out", "--skip-bad") == 0
    output = capsys.readouterr()
    skipped = [line for line in output.err.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 2
    assert skipped[0].startswith("skipped: sources.csv, line 2: `file` is '00_red.jpg'")
    assert skipped[1].startswith("skipped: vqa.jsonl, line 17: `row` is not JSON")
    assert f"{tmp_path / 'out'}: 11 pictures, 35 instructions" in output.out


def test_other_folders_are_refused(
    script: ModuleType, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    assert run(script, folder, tmp_path / "out") == 1
    assert "out exists and was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "out" / "mine").read_text() == "precious"


@pytest.mark.parametrize(("sent", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_interruption_leaves_nothing(
    script: ModuleType,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
    raised: type[BaseException],
):
    examples = parquet.examples

    def interrupted(*arguments):
        for number, example in enumerate(examples(*arguments)):
            yield example
            if number == 2:
                os.kill(os.getpid(), sent)

    monkeypatch.setattr(parquet, "examples", interrupted)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(raised):
        run(script, folder, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_help_needs_nothing_heavy():
    code = f"""
import runpy, sys
sys.argv = ["build_aesmmit.py", "--help"]
try:
    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
except SystemExit:
    assert not {{"datasets", "PIL", "numpy"}} & set(sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--skip-bad" in finished.stdout
