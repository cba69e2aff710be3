import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from aesexpert import __version__
from aesexpert.cli import main
from tiny_data import write_tiny_source
from tiny_models import build_tiny_llava


COMMANDS = [["bench", name] for name in ("run", "loss", "judge", "report", "export")]
COMMANDS += [["data", "stats"], ["pull"], *(["push", what] for what in ("dataset", "model", "metric"))]


def aesexpert(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user does."""
    return subprocess.run([sys.executable, "-m", "aesexpert", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_llava(tmp_path_factory.mktemp("models") / "tiny-llava")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_source(tmp_path_factory.mktemp("data") / "tiny-bench")


@pytest.mark.parametrize("arguments", [[], ["bench"], ["data"], ["push"]])
def test_every_group_has_help(arguments: list[str]) -> None:
    result = aesexpert(*arguments, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("usage: aesexpert")


@pytest.mark.parametrize("command", [*COMMANDS, ["generate"]])
def test_help_has_an_example_that_parses(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"example:\n  aesexpert (.+)", aesexpert(*command, "--help").stdout)
    assert example
    called = []
    module, function = (command * 2)[:2]  # a command that is no group's has its module to itself
    monkeypatch.setattr(f"aesexpert.cli.{module}.{function}", called.append)
    main(example[1].split())
    assert len(called) == 1


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, aesexpert.cli; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"torch", "transformers", "datasets", "numpy", "PIL"} & set(result.stdout.split())


def test_version() -> None:
    assert aesexpert("--version").stdout.strip() == f"aesexpert {__version__}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["bench"], "the following arguments are required: COMMAND"),
        (["bench", "run", "--model", "m"], "the following arguments are required: --data"),
        (["bench", "run", "--model", "m", "--data", "d", "--tasks", "taste"], "invalid choice: 'taste'"),
        (["bench", "run", "--model", "m", "--data", "d", "--control", "blurred"], "invalid choice: 'blurred'"),
        (["bench", "run", "--model", "m", "--data", "d", "--batch-size", "0"], "0 is not positive"),
        (["bench", "run", "--model", "m", "--data", "d", "--scoring", "guess"], "invalid choice: 'guess'"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "run", "--model", "./nowhere", "--data", "DATA"], "./nowhere is neither a model folder nor"),
        (["bench", "run", "--model", "./nowhere", "--data", "elsewhere"], "elsewhere is missing; expected a folder"),
        (["bench", "report", "DATA"], "is no run folder"),
        (["bench", "loss", "--model", "./nowhere", "--data", "elsewhere"], "elsewhere is neither a data set's folder"),
        (["data", "stats", "elsewhere"], "sources.csv is missing"),
    ],
)
def test_error_is_a_line_and_not_a_traceback(
    arguments: list[str], message: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([str(data) if argument == "DATA" else argument for argument in arguments])
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("aesexpert: error: ")
    assert message in error
    assert "Traceback" not in error


def test_own_defects_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(options: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("aesexpert.cli.data.stats", broken)
    with pytest.raises(ValueError, match="a defect"):
        main(["data", "stats", "."])


def test_from_a_model_to_its_report(model: Path, data: Path, tmp_path: Path) -> None:
    """Run, go on, run the control, report: as a user types it, with folders named by default."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def command(*arguments: str | Path) -> str:
        line = [sys.executable, "-m", "aesexpert", "bench", *map(str, arguments)]
        result = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    usual, swapped = "reports/tiny-llava-tiny-bench", "reports/tiny-llava-tiny-bench-swapped"
    choice = ["--tasks", "perception", "empathy", "assessment"]
    asked = ["run", "--model", model, "--data", data]
    assert f"answers in {usual}" in command(*asked, *choice)
    assert f"answers in {swapped}" in command(*asked, *choice, "--control", "swapped")
    printed = command("report", usual, swapped, "--paper", "--out", "reports")
    assert "| tiny-llava " in printed
    assert "| tiny-llava (swapped) " in printed
    assert "| AesExpert (L-13B) " in printed
    report = json.loads((tmp_path / "reports" / "report.json").read_text())
    assert [row["kind"] for row in report["rows"]] == ["run"] * 2 + ["baseline"] * 2 + ["paper"] * 19


def test_unusual_runs_have_folders_of_their_own(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("aesexpert.bench.runner.run", lambda model, data, out, **options: out)
    asked = ["bench", "run", "--model", "m", "--data", str(data)]
    for options, name in (
        ([], "m-tiny-bench"),
        (["--scoring", "logits"], "m-tiny-bench-logits"),
        (["--scoring", "logits", "--control", "swapped"], "m-tiny-bench-logits-swapped"),
    ):
        main([*asked, *options])
        assert f"answers in reports/{name};" in capsys.readouterr().out


def test_statistics_of_a_source_folder(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "stats", str(data)])
    assert "| Source | Data set | Pictures |" in capsys.readouterr().out


def test_command_is_installed() -> None:
    scripts = entry_points(group="console_scripts", name="aesexpert")
    assert not scripts or next(iter(scripts)).value == "aesexpert.cli:main"
