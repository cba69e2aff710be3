"""The same job as a step of a datatrove pipeline."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aesexpert.llm.journal import Journal, merge_journals
from aesexpert.llm.shards import Shard, journal_path, shard_journals
from fake_openai import Config, serve
from llm_helpers import requests


REQUESTS = 60

JOB = """
import sys
from datatrove.executor import LocalPipelineExecutor
from aesexpert.llm import LLMError
from aesexpert.llm.scale import run_watched
from scale_helpers import AskNumbers

if __name__ == "__main__":
    url, folder = sys.argv[1:]
    step = AskNumbers(folder, url, "fake-gpt", ranks=2, concurrency=4)
    executor = LocalPipelineExecutor([step], tasks=2, logging_dir=folder + "/logs")
    try:
        run_watched(executor)
    except LLMError as error:
        sys.exit(str(error))
"""


def start(url: str, folder: Path) -> "subprocess.Popen[str]":
    script = folder / "job.py"
    script.write_text(JOB)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENAI_API_KEY": "sk-secret-0123456789"}
    command = [sys.executable, str(script), url, str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_every_request_belongs_to_one_shard() -> None:
    for count in (1, 2, 7):
        shards = [Shard(number, count) for number in range(1, count + 1)]
        names = [request.id for shard in shards for request in shard.of(requests(200))]
        assert sorted(names) == sorted(request.id for request in requests(200))


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_and_the_next_one_finishes_it(tmp_path: Path) -> None:
    with serve(Config(latency=0.4)) as (url, server):
        process = start(url, tmp_path)
        while server.total["paid"] < 8:
            assert process.poll() is None
            time.sleep(0.01)
        _worker(process.pid, tmp_path).kill()
        _, error = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "a worker was killed" in error
        again = start(url, tmp_path)
        _, error = again.communicate(timeout=240)
        assert again.returncode == 0, error
        assert sum(count["good"] + count["lost"] > 1 for count in server.by_id.values()) <= 4
        assert all(count["good"] + count["lost"] for count in server.by_id.values())
    assert len(server.by_id) == REQUESTS
    merge_journals(shard_journals(tmp_path), journal_path(tmp_path))
    with Journal(journal_path(tmp_path)) as journal:
        assert all(journal.replies(request.key("fake-gpt")) for request in requests(REQUESTS))
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sk-secret" not in written


def _worker(pid: int, folder: Path) -> psutil.Process:
    """A process that has a journal open."""
    for child in psutil.Process(pid).children(recursive=True):
        if any(Path(file.path) in shard_journals(folder) for file in child.open_files()):
            return child
    raise AssertionError("no worker has a journal open")
