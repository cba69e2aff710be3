"""`aesexpert generate` from critiques to a source folder, against the tests' server."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aesexpert.cli import main
from aesexpert.data.source import read_source
from aesexpert.instruct import InstructError, Prompts
from fake_openai import MODEL, Config, FakeOpenAI, serve
from tiny_data import read_json_lines, write_json_lines, write_tiny_source


PICTURES = 8


def write_pairs(body: dict[str, Any], rng: random.Random) -> str:
    """Answers as a good model does, and with some faults that are to be found."""
    text = body["messages"][1]["content"]
    colour = re.search(r"This (\w+) picture", text)[1]
    wrong = ["stripes of silver paint", "rings of golden paint", "spots of crimson paint"]
    fields = {"question_type": "what", "dimension": "attribute", "alternatives": wrong}
    pairs = [
        {**fields, "question": f"What covers the {colour} surface?", "answer": f"grainy {colour} and even light"},
        {**fields, "question": f"What is covering the {colour} surface?", "answer": "grain and light in it"},
        {**fields, "question": "What does the critique praise?", "answer": "the light, which is even"},
        {**fields, "question": f"Is the picture {colour}?", "question_type": "yes-no", "answer": "Yes"},
        {**fields, "question": "Does it surprise hardly anybody at all?", "question_type": "yes-no", "answer": "No"},
        {**fields, "question": "Is the light even?", "question_type": "yes-no", "answer": "Yes"},
        {**fields, "question": "Why does it calm?", "answer": "a dragon sleeps inside", "dimension": "emotion"},
    ]
    return json.dumps({"pairs": pairs})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tiny_source(tmp_path / "source")


def generate(url: str, source: Path, out: Path, *more: str) -> None:
    main(["generate", str(source), "--model", MODEL, "--base-url", url, "--out", str(out), *more])


def test_from_critiques_to_a_source_folder(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with serve(Config(p500=0.1, pbad=0.1)) as (url, server):
        server.writer = write_pairs
        generate(url, source, out)
        asked = server.total["asked"]
        printed = capsys.readouterr().out
        before = {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}
        generate(url, source, out)
        assert server.total["asked"] == asked
    after = {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}
    assert before == after
    counts = json.loads((out / "aesvqa" / "report.json").read_text())
    assert counts["pictures"] == {"answered": PICTURES, "failed": 0, "not asked": 0}
    assert counts["returned"] == 7 * PICTURES
    assert counts["taken"] == 4 * PICTURES
    assert counts["flagged"] == PICTURES
    assert counts["yes_no"] == {"Yes": PICTURES, "No": PICTURES}
    assert {name: count for name, count in counts["rejections"].items() if count} == {
        "asks the same as another question": PICTURES,
        "speaks of the critiques": PICTURES,
        "too many equal yes-no answers": PICTURES,
    }
    assert counts["taken"] + sum(counts["rejections"].values()) == counts["returned"]
    assert len(read_json_lines(out / "aesvqa" / "rejected.jsonl")) == 3 * PICTURES
    for title in ("Yield", "Rejected because", "Question type", "Dimension", "Letter of the right option", "yes-no"):
        assert title in printed
    made = read_source(out / "source")
    assert sum(map(len, made.questions.values())) == 2 * counts["taken"]
    assert made.feedback == read_source(source).feedback
    assert {picture.path.name for picture in made.pictures} == {path.name for path in (source / "images").iterdir()}


def test_pairs_without_support_can_be_left_out(source: Path, tmp_path: Path) -> None:
    with serve() as (url, server):
        server.writer = write_pairs
        generate(url, source, tmp_path / "out", "--min-support", "0.5")
    counts = json.loads((tmp_path / "out" / "aesvqa" / "report.json").read_text())
    assert (counts["flagged"], counts["rejections"]["too little support in the critiques"]) == (0, PICTURES)


def test_failures_are_kept_with_their_reason(source: Path, tmp_path: Path) -> None:
    with serve() as (url, server):
        server.writer = lambda body, rng: "I would rather not."
        generate(url, source, tmp_path / "out")
        assert server.total["asked"] == 4 * PICTURES
        failed = read_json_lines(tmp_path / "out" / "aesvqa" / "failed.jsonl")
        assert {row["reason"] for row in failed} == {"no usable answer in 4: the answer is not JSON"}
        assert {row["text"] for row in failed} == {"I would rather not."}
    assert read_source(tmp_path / "out" / "source").feedback


def test_a_dry_run_asks_nothing(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["generate", str(source), "--model", "gpt-4o", "--dry-run"])
    printed = capsys.readouterr().out
    assert re.search(r"^8 requests, about [\d,]+ tokens to read and 7,200 to write, about \$0\.\d\d", printed)
    assert printed.count("--- example") == 3
    assert "This red picture looks excellent." in printed


@pytest.mark.parametrize("batch", [(), ("--batch",)])
def test_shards_are_merged(source: Path, tmp_path: Path, batch: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    with serve(Config(batch_seconds=0.05)) as (url, server):
        server.writer = write_pairs
        generate(url, source, out, "--shard", "1/2", *batch)
        with pytest.raises(SystemExit):
            generate(url, source, out)
        with pytest.raises(SystemExit):
            generate(url, source, out, "--merge")
        generate(url, source, out, "--shard", "2/2", *batch)
        generate(url, source, out, "--shard", "1/2", *batch)
        generate(url, source, out, "--merge")
        generate(url, source, out, "--merge")
        whole = tmp_path / "whole"
        generate(url, source, whole)
    assert (out / "source" / "vqa.jsonl").read_bytes() == (whole / "source" / "vqa.jsonl").read_bytes()
    assert all(count["paid"] == 2 for count in server.by_id.values())


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "/"])
def test_a_shard_that_is_none(source: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["generate", str(source), "--model", MODEL, "--shard", text])
    assert exit_.value.code == 2
    assert "expected I/N" in capsys.readouterr().err


def test_prompts_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("Costs $$5. Write $count of: $critiques")
    from aesexpert.data.records import Feedback
    from aesexpert.taxonomy import FeedbackPart

    feedback = Feedback(FeedbackPart.REASONS, "Why?", "Costs $count\n{dollars}", None, "me")
    request = Prompts(tmp_path).request("a", [feedback], 3)
    assert request.messages[1]["content"] == "Costs $5. Write 3 of: - Costs $count {dollars}"
    assert "never add to them" in request.messages[0]["content"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.txt", "Write $count", r"lacks \$critiques"),
        ("pairs.txt", "$critiques $colour", r"has \$colour, expected"),
        ("system.txt", "costs 5$ ", r"\$ that begins no name"),
        ("other.txt", "", r"has neither system\.txt nor pairs\.txt"),
    ],
)
def test_wrong_prompts_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InstructError, match=message):
        Prompts(tmp_path)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_bad_input_is_named(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["generate", str(source), "--out", str(tmp_path / "out")]
    assert "set the environment variable OPENAI_API_KEY" in error_of([*base, "--model", "gpt-4o"], capsys)
    nowhere = [*base, "--model", MODEL, "--base-url", "http://127.0.0.1:9/v1"]
    assert "no answer from http://127.0.0.1:9/v1" in error_of(nowhere, capsys)
    with serve() as (url, server):
        assert "has no model 'gpt-9'" in error_of([*base, "--model", "gpt-9", "--base-url", url], capsys)
        server.config.quota = 3
        fine = [*base, "--model", MODEL, "--base-url", url, "--concurrency", "1"]
        assert "quota is used up" in error_of(fine, capsys)
        server.config.quota = 0
        main(fine)
        assert server.total["paid"] == PICTURES
    journal = tmp_path / "out" / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"aesexpert_journal": 1', '"aesexpert_journal": 9'))
    assert "is a journal of version 9" in error_of(fine, capsys)
    (source / "feedback.jsonl").write_text("{}\n")
    assert "feedback.jsonl, line 1" in error_of(fine, capsys)
    write_json_lines(source / "feedback.jsonl", [])
    assert "critiques" in error_of(fine, capsys)


def start(url: str, source: Path, out: Path, *more: str, key: str = "") -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "aesexpert", "generate", str(source), "--model", MODEL, "--base-url", url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **({"OPENAI_API_KEY": key} if key else {})}
    return subprocess.Popen(
        [*command, "--out", str(out), *more],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_first(source: Path, tmp_path: Path, number: signal.Signals) -> None:
    with serve(Config(latency=1.0)) as (url, server):
        server.writer = write_pairs
        process = start(url, source, tmp_path / "out", "--concurrency", "3")
        wait_for(lambda: server.total["asked"] == 3, process)
        process.send_signal(number)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 128 + number, output
        assert f"stopped by {number.name}" in output
        assert (server.total["asked"], server.total["good"]) == (3, 3)
        assert (tmp_path / "out" / "journal.jsonl").read_text().count("\n") == 4
        server.config.latency = 0.0
        generate(url, source, tmp_path / "out")
    assert server.total["paid"] == PICTURES


def test_a_shard_that_was_killed_and_rerun(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serve(Config(latency=0.3)) as (url, server):
        server.writer = write_pairs
        process = start(url, source, out, "--shard", "1/2", "--concurrency", "2")
        wait_for(lambda: server.total["asked"] >= 2, process)
        process.kill()
        process.wait()
        server.config.latency = 0.0
        for shard in ("1/2", "2/2"):
            generate(url, source, out, "--shard", shard)
        generate(url, source, out, "--merge")
    assert json.loads((out / "aesvqa" / "report.json").read_text())["pictures"]["answered"] == PICTURES


def test_the_key_is_shown_nowhere(source: Path, tmp_path: Path) -> None:
    key = "sk-secret-0123456789"
    with serve(Config(api_key=key, echo_key=True, latency=0.5)) as (url, server):
        process = start(url, source, tmp_path / "out", "--concurrency", "1", key=key)
        wait_for(lambda: server.total["asked"] > 0, process)
        assert key not in Path(f"/proc/{process.pid}/cmdline").read_text()
        server.config.latency = 0.0
        output, _ = process.communicate(timeout=300)
        wrong = start(url, source, tmp_path / "wrong", key="sk-wrong-9876543210")
        refused, _ = wrong.communicate(timeout=300)
    assert process.returncode == 0, output
    assert wrong.returncode == 1
    assert "refuses the API key" in refused
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()).decode(errors="replace")
    for text in (output, refused, written):
        assert key not in text
        assert "sk-wrong" not in text
    helped = subprocess.run(
        [sys.executable, "-m", "aesexpert", "generate", "--help"],
        env={**os.environ, "OPENAI_API_KEY": key, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert helped.returncode == 0
    assert key not in helped.stdout + helped.stderr


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aesexpert.llm.batch.FIRST_POLL", 0.05)


def test_batches_give_what_single_requests_give(
    source: Path, tmp_path: Path, paused: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(Config(p500=0.1, pbad=0.1, batch_expire=0.1, batch_seconds=0.1)) as (url, server):
        server.writer = write_pairs
        generate(url, source, tmp_path / "batch", "--batch", "--batch-size", "3")
        assert server.total["paid"] == server.total["batch"]
        assert max(count["good"] for count in server.by_id.values()) == 1
        server.config.p500 = server.config.pbad = 0.0
        generate(url, source, tmp_path / "single")
    mine, theirs = (tmp_path / name / "source" / "vqa.jsonl" for name in ("batch", "single"))
    assert mine.read_bytes() == theirs.read_bytes()


def test_batches_are_collected_later_and_cancelled(
    source: Path, tmp_path: Path, paused: None, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = ["--batch", "--batch-size", "4"]
    with serve(Config(batch_seconds=3600)) as (url, server):
        server.writer = write_pairs
        generate(url, source, tmp_path / "out", *batch, "--no-wait")
        generate(url, source, tmp_path / "out", *batch, "--no-wait")
        assert "8 requests are under way in batches" in capsys.readouterr().out
        assert len(server.batches.batches) == 2
        with pytest.raises(SystemExit):
            generate(url, source, tmp_path / "out", "--batch", "--batch-size", "5")
        assert "the size of batches have changed since" in capsys.readouterr().err
        generate(url, source, tmp_path / "out", *batch, "--cancel")
        assert "2 batches cancelled" in capsys.readouterr().out
        server.config.batch_seconds = 0.05
        generate(url, source, tmp_path / "out", *batch)
    assert all(count["paid"] == 1 for count in server.by_id.values())


def test_batches_are_adopted_however_the_run_was_killed(source: Path, tmp_path: Path) -> None:
    """Killed as soon as the server has the first batch: before anything can be recorded of it."""
    with serve(Config(batch_seconds=1.0)) as (url, server):
        server.writer = write_pairs
        for kills in range(1, 4):
            process = start(url, source, tmp_path / "out", "--batch", "--batch-size", "2")
            wait_for(lambda kills=kills: len(server.batches.batches) >= kills, process)  # type: ignore[misc]
            process.kill()
            process.wait()
        generate(url, source, tmp_path / "out", "--batch", "--batch-size", "2")
    assert len(server.batches.batches) == 4
    assert all(count["paid"] == 1 for count in server.by_id.values())
    _check_complete(server, tmp_path / "out")


def _check_complete(server: FakeOpenAI, out: Path) -> None:
    assert len(server.by_id) == PICTURES
    assert json.loads((out / "aesvqa" / "report.json").read_text())["pictures"]["answered"] == PICTURES
