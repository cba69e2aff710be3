"""Jobs that are killed: nothing is lost, and hardly anything is paid for twice."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aesexpert.llm.journal import Journal
from aesexpert.llm.requests import Request
from fake_openai import MODEL, Config, FakeOpenAI, serve


CONCURRENCY, REQUESTS, KILLS = 16, 600, 20

POLL_SECONDS = 0.01
"""Between two looks at the journal. The server runs in this process too, and needs its share."""

JOB = """
import sys
from llm_helpers import Pairs, requests
from aesexpert.llm import Client
from fake_openai import MODEL

url, journal, count, concurrency = sys.argv[1:]
names = [answer.id for answer in Client(url, MODEL, concurrency=int(concurrency)).ask(requests(int(count)), journal)]
assert len(names) == len(set(names)) == int(count)
print("answered", len(names))
"""


def start(url: str, journal: Path, count: int) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", JOB, url, str(journal), str(count), str(CONCURRENCY)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def journalled(journal: Path) -> int:
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def settle(server: FakeOpenAI) -> None:
    """Waits until the server is done with what a killed job has sent, so that no later round counts it."""
    time.sleep(0.4)
    while server.under_way:
        time.sleep(POLL_SECONDS)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    journal, rng = tmp_path / "journal.jsonl", random.Random(0)
    with serve(Config(latency=0.1, jitter=0.08, p500=0.01, pbad=0.02)) as (url, server):
        for kill in range(KILLS):
            done, paid = journalled(journal), server.total["paid"]
            enough = min(done + rng.randint(1, 25), REQUESTS - 1)
            process = start(url, journal, REQUESTS)
            while journalled(journal) < enough and process.poll() is None:
                time.sleep(POLL_SECONDS)
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
            process.wait()
            assert journalled(journal) > done or kill == KILLS - 1
            # of what was paid for, at most the requests under way are missing from the journal
            settle(server)
            assert server.total["paid"] - paid - (journalled(journal) - done) <= CONCURRENCY
        process = start(url, journal, REQUESTS)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert output == f"answered {REQUESTS}\n"
    counts = [count["good"] + count["lost"] for count in server.by_id.values()]
    assert len(counts) == REQUESTS
    assert sum(count > 1 for count in counts) <= KILLS * CONCURRENCY
    assert max(counts) <= 1 + KILLS


def test_what_is_journalled_is_not_asked_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with serve(Config(latency=0.2)) as (url, server):
        process = start(url, journal, 100)
        while journalled(journal) < 30:
            assert process.poll() is None
            time.sleep(POLL_SECONDS)
        process.kill()
        process.wait()
        settle(server)
        lines = [json.loads(line) for line in journal.read_bytes().split(b"\n")[1:-1]]
        asked_before = {line["key"]: server.by_id[line["key"]]["asked"] for line in lines}
        process = start(url, journal, 100)
        assert process.communicate(timeout=120)[0] == "answered 100\n"
    assert all(server.by_id[key]["asked"] == count for key, count in asked_before.items())
    asked_twice = sum(count["asked"] > 1 for count in server.by_id.values())
    assert asked_twice <= CONCURRENCY


@pytest.mark.slow
def test_eighty_eight_thousand_requests_take_little_memory(tmp_path: Path) -> None:
    from aesexpert.llm.answers import Reply

    journal, count = tmp_path / "journal.jsonl", 88_000
    text = "A critique of a picture, with light. " * 25
    with Journal(journal) as book:
        for number in range(count):
            request = Request(f"r{number}", [{"role": "user", "content": f"{text}{number}"}])
            book.add_reply(request.key(MODEL), request.id, Reply("light is good " * 60, "stop", 300, 240))
    code = f"""
import re, sys
from aesexpert.llm import Client, Request
requests = (Request(f"r{{n}}", [{{"role": "user", "content": "{text}" + str(n)}}]) for n in range({count}))
client = Client("http://127.0.0.1:9/v1", "{MODEL}")
print(sum(answer.failure is None for answer in client.ask(requests, sys.argv[1])))
# not ru_maxrss, which begins with the peak of the process that started this one
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code, str(journal)], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    answered, megabytes = map(int, result.stdout.split())
    assert answered == count
    assert megabytes < 500
