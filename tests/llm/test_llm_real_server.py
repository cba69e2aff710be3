"""The client against a real model behind `transformers serve`."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from aesexpert.llm import Client, Request
from llm_helpers import Pairs
from ports import free_port


ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(ROOT / "recipes" / "start"))
    from smollm2 import load_smollm2

    folder = tmp_path_factory.mktemp("models") / "smollm2"
    language_model, tokenizer = load_smollm2()
    language_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[str]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--port", str(port)]
    process = subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not is_there(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def is_there(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def test_its_answers_are_understood(server: str, model: Path, tmp_path: Path) -> None:
    client = Client(server, str(model), concurrency=2)
    cities = {"France": "Paris", "Japan": "Tokyo", "Italy": "Rome"}
    requests = [
        Request(country, [{"role": "user", "content": f"What is the capital of {country}?"}], None, {"max_tokens": 20})
        for country in cities
    ]
    answers = {answer.id: answer for answer in client.ask(requests, tmp_path / "journal.jsonl")}
    assert sum(city in answers[country].text for country, city in cities.items()) >= 2
    assert client.totals.answered == 3
    assert client.totals.prompt_tokens > 30
    assert 0 < client.totals.completion_tokens <= 60


def test_what_it_does_with_a_schema_is_recorded(server: str, model: Path, tmp_path: Path) -> None:
    """The server ignores schemas, and the model is too small to follow one in the prompt."""
    text = "Write one question about a red picture, with its answer."
    request = Request("red", [{"role": "user", "content": text}], Pairs, {"max_tokens": 40})
    client = Client(server, str(model), concurrency=1, answers=2)
    (answer,) = client.ask([request], tmp_path / "journal.jsonl")
    assert answer.text
    assert answer.parsed is not None or answer.failure.startswith("no usable answer in 2")
    assert (tmp_path / "journal.jsonl").read_text().count("\n") >= 2
