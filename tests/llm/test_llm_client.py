"""The client against a server with faults."""

import base64
import hashlib
import json
import logging
import time
from pathlib import Path

import pytest
from PIL import Image

from aesexpert.llm import Client, LLMError, Request, image_part, text_part
from aesexpert.llm.errors import (
    JournalError,
    KeyMissingError,
    ModelMissingError,
    QuotaError,
    RequestError,
    ServerError,
)
from aesexpert.llm.requests import strict_schema
from fake_openai import MODEL, Config, serve
from llm_helpers import Pairs, ask, request, requests


def test_every_request_is_answered_in_the_form_asked_for() -> None:
    with serve(Config(latency=0.02, jitter=0.01)) as (url, server):
        answers = ask(url, 100)
    assert set(answers) == {f"r{number}" for number in range(100)}
    assert all(isinstance(answer.parsed, Pairs) and answer.failure is None for answer in answers.values())
    assert server.total["asked"] == server.total["good"] == 100
    assert server.peak <= 16


def test_free_text() -> None:
    with serve() as (url, _):
        answers = ask(url, 3, schema=None)
    assert all(answer.parsed is None and len(answer.text.split()) == 30 for answer in answers.values())


def test_tokens_and_cost_are_what_the_server_counted() -> None:
    from aesexpert.llm import Price

    with serve(Config(pbad=0.2)) as (url, server):
        client = Client(url, MODEL, price=Price(3.0, 7.0))
        list(client.ask(requests(50)))
    counted = server.total["prompt_tokens"], server.total["completion_tokens"]
    assert (client.totals.prompt_tokens, client.totals.completion_tokens) == counted
    assert client.totals.cost == pytest.approx((3.0 * counted[0] + 7.0 * counted[1]) / 1e6)
    assert client.totals.replies == server.total["paid"] > 50


@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_faults_of_every_kind_in_one_run(tmp_path: Path, count: int) -> None:
    config = Config(latency=0.05, jitter=0.02, p500=0.05, pbad=0.03, pdrop=0.02, pslow=0.02, hang=1.0, rps=100)
    with serve(config) as (url, server):
        answers = ask(url, count, tmp_path / "journal.jsonl", concurrency=128)
        total = server.counts(full=True)
    assert len(answers) == count
    failures = [answer.failure for answer in answers.values() if answer.failure]
    assert len(failures) < 0.01 * count
    assert min(total.get(kind, 0) for kind in ("e500", "bad", "dropped", "slow")) > 0
    assert total["good_ids"] == count - len(failures)
    # the bucket holds the requests of a second; a machine too slow to come up to the limit sees no 429
    times = sorted(total["times"])
    assert len(times) <= config.rps * (times[-1] + 1.2)


def test_a_reply_that_comes_byte_by_byte_is_cut_off() -> None:
    with serve(Config(pslow=1.0, hang=30.0)) as (url, _):
        (answer,) = ask(url, 1, attempts=2, timeout=0.5).values()
    assert answer.failure == "no whole reply within 0.5 s (attempt 2 of 2)"


def test_a_429_is_no_attempt() -> None:
    with serve(Config(rps=40)) as (url, server):
        answers = ask(url, 100, attempts=1, concurrency=64)
    assert all(answer.failure is None for answer in answers.values())
    assert server.total["e429"] > 0
    assert server.total["good"] == 100


def test_a_429_without_retry_after() -> None:
    with serve(Config(rps=40, retry_after=False)) as (url, _):
        answers = ask(url, 80, attempts=1, concurrency=64)
    assert all(answer.failure is None for answer in answers.values())


def test_limits_that_are_given_are_kept() -> None:
    with serve(Config(rps=50)) as (url, server):
        ask(url, 120, concurrency=64, requests_per_minute=2700)
    assert server.total["e429"] == 0


def test_a_limit_of_tokens_is_kept() -> None:
    with serve() as (url, server):
        begun = time.monotonic()
        ask(url, 40, concurrency=64, tokens_per_minute=60 * 1000)
        seconds = time.monotonic() - begun
        used = server.total["prompt_tokens"] + server.total["completion_tokens"]
    assert seconds > 0.7 * used / 1000


def test_pictures_travel_inside(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    Image.new("RGB", (8, 8), "red").save(file)
    part = image_part(file)
    assert part["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    with serve() as (url, server):
        request = Request("red", [{"role": "user", "content": [text_part("What is it?"), part]}])
        answer = next(Client(url, MODEL).ask([request]))
    assert answer.failure is None
    assert server.total["prompt_tokens"] > 765


@pytest.mark.parametrize("schemas", ["ignored", "refused"])
def test_servers_without_schemas_get_them_in_the_prompt(schemas: str, caplog: pytest.LogCaptureFixture) -> None:
    with serve(Config(schemas=schemas)) as (url, server), caplog.at_level(logging.WARNING):
        answers = ask(url, 60, concurrency=4)
    assert all(answer.failure is None for answer in answers.values())
    assert "does not keep to the JSON schema" in caplog.text
    assert server.total["asked"] < 90


def test_an_answer_that_never_fits_fails_with_its_text(tmp_path: Path) -> None:
    with serve(Config(pbad=1.0)) as (url, server):
        answers = ask(url, 3, tmp_path / "journal.jsonl", answers=2)
        again = ask(url, 3, tmp_path / "journal.jsonl", answers=2)
    assert server.total["asked"] == 6
    for answer in (*answers.values(), *again.values()):
        assert answer.failure == "no usable answer in 2: the answer is not JSON"
        assert answer.text.startswith('{"pairs"')


def test_a_prompt_that_is_too_long_fails_alone_and_is_tried_by_the_next_run(tmp_path: Path) -> None:
    long = request(1, text="very " * 1000)
    with serve(Config(context=500)) as (url, server):
        client = Client(url, MODEL)
        answers = {answer.id: answer for answer in client.ask([request(0), long, request(2)], tmp_path / "j")}
        assert "maximum context length is 500 tokens" in answers["r1"].failure
        assert client.totals.failed == 1
        server.config.context = 0
        after = {answer.id: answer for answer in client.ask([request(0), long, request(2)], tmp_path / "j")}
    assert all(answer.failure is None for answer in after.values())
    assert [after[name].from_journal for name in ("r0", "r1", "r2")] == [True, False, True]


def test_the_journal_answers_what_it_has(tmp_path: Path) -> None:
    with serve() as (url, server):
        first = ask(url, 30, tmp_path / "journal.jsonl")
        more = ask(url, 50, tmp_path / "journal.jsonl")
    assert server.total["asked"] == 50
    assert {name: answer.parsed for name, answer in more.items() if answer.from_journal} == {
        name: answer.parsed for name, answer in first.items()
    }


def test_a_finished_journal_needs_no_server(tmp_path: Path) -> None:
    with serve() as (url, _):
        first = ask(url, 10, tmp_path / "journal.jsonl")
    again = ask(url, 10, tmp_path / "journal.jsonl")
    assert {name: answer.parsed for name, answer in again.items()} == {
        name: answer.parsed for name, answer in first.items()
    }


def test_a_changed_prompt_or_model_is_a_new_request() -> None:
    key = request(1).key("a")
    assert key == request(1).key("a")
    others = [request(2), request(1, schema=None), request(1, text="Judge picture")]
    others.append(Request("r1", request(1).messages, Pairs, {"temperature": 0.5}))
    assert len({key, request(1).key("b"), *(other.key("a") for other in others)}) == 6


def test_a_request_keeps_its_key_in_versions_to_come() -> None:
    """Else their journals would not answer it."""
    asked = Request("a", [{"role": "user", "content": "Hello, w\u00f6rld"}], None, {"temperature": 0.5})
    assert asked.key("m") == "f2062210491836ef0ae6c85e8ed0898b1befe6f5"


@pytest.mark.parametrize("schema", [None, Pairs])
def test_a_key_is_the_hash_of_all_that_is_asked(schema: type[Pairs] | None) -> None:
    asked = Request("b", request(1).messages, schema, {"temperature": 0.5})
    content = {name: getattr(asked, name) for name in ("id", "messages", "parameters")}
    content |= {"model": "m", "schema": strict_schema(schema) if schema else None}
    assert asked.key("m") == hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40]


def test_requests_are_drawn_when_they_can_be_sent() -> None:
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield request(drawn)

    with serve(Config(latency=0.02)) as (url, _):
        answers = Client(url, MODEL, concurrency=8).ask(endless())
        for _ in range(20):
            next(answers)
        answers.close()
    assert 20 <= drawn < 200


def test_names_have_to_differ() -> None:
    with serve() as (url, _), pytest.raises(RequestError, match="two requests have the name 'r1'"):
        list(Client(url, MODEL).ask([request(1), request(1)]))


def test_what_the_source_of_requests_raises_comes_through() -> None:
    def broken():
        yield request(1)
        raise ZeroDivisionError("mine")

    with serve() as (url, _), pytest.raises(ZeroDivisionError, match="mine"):
        list(Client(url, MODEL).ask(broken()))


def test_no_key_for_the_vendor() -> None:
    with pytest.raises(KeyMissingError, match="set the environment variable OPENAI_API_KEY"):
        Client(None, "gpt-4o")


def test_no_key_elsewhere_is_the_servers_business() -> None:
    with (
        serve(Config(api_key="sk-right-and-long")) as (url, _),
        pytest.raises(KeyMissingError, match="refuses the"),
    ):
        ask(url, 3)
    with serve(Config(api_key="sk-right-and-long")) as (url, _):
        assert len(ask(url, 3, api_key="sk-right-and-long")) == 3


@pytest.mark.parametrize("key", ["sk-with space", "sk-\u00e9", "sk-line\nbreak"])
def test_what_cannot_be_a_key_is_not_shown(key: str) -> None:
    with pytest.raises(KeyMissingError) as caught:
        Client("http://127.0.0.1:9/v1", MODEL, key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/v1", "http://", "http://["])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ServerError, match="expected one like"):
        Client(url, MODEL)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"no answer from http://127\.0\.0\.1:9/v1.*--base-url"):
        ask("http://127.0.0.1:9/v1", 3, tmp_path / "journal.jsonl")


def test_an_address_without_v1() -> None:
    with serve() as (url, _), pytest.raises(ModelMissingError, match="most addresses end in /v1"):
        ask(url.removesuffix("/v1"), 3)


def test_a_model_that_is_not_there() -> None:
    with serve() as (url, _), pytest.raises(ModelMissingError, match=r"has no model 'gpt-9'.*does not exist"):
        list(Client(url, "gpt-9").ask(requests(3)))


def test_a_server_that_dies_stops_the_job_without_a_verdict_on_requests(tmp_path: Path) -> None:
    with serve(Config(p500=1.0)) as (url, server):
        with pytest.raises(ServerError, match="has answered nothing for some time"):
            ask(url, 20, tmp_path / "journal.jsonl", attempts=2)
        server.config.p500 = 0.0
        assert all(answer.failure is None for answer in ask(url, 20, tmp_path / "journal.jsonl").values())


def test_a_quota_that_is_used_up_stops_the_job_and_it_goes_on_later(tmp_path: Path) -> None:
    with serve(Config(quota=30, latency=0.02)) as (url, server):
        with pytest.raises(QuotaError, match=r"quota is used up.*run the same command again"):
            ask(url, 100, tmp_path / "journal.jsonl")
        paid = server.total["paid"]
        assert paid == 30
        assert server.total["asked"] < 30 + 2 * 16
        server.config.quota = 0
        ask(url, 100, tmp_path / "journal.jsonl")
    assert server.total["paid"] == 100


def test_a_long_wait_asked_for_stops_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aesexpert.llm.pacing.PATIENCE", 0.5)
    with serve(Config(rps=5)) as (url, _), pytest.raises(QuotaError, match="asks to wait 1 s"):
        ask(url, 30)


def test_the_key_is_shown_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = "sk-secret-0123456789"
    with caplog.at_level(logging.DEBUG), serve(Config(api_key=key, echo_key=True)) as (url, server):
        client = Client(url, MODEL, key)
        list(client.ask(requests(5, None), tmp_path / "journal.jsonl"))
        assert key in json.dumps(server.config.api_key)
        wrong = Client(url, MODEL, "sk-wrong-987654321")
        with pytest.raises(KeyMissingError) as caught:
            list(wrong.ask(requests(5, None), tmp_path / "other.jsonl"))
    assert "refuses the API key" in str(caught.value)
    assert key not in (tmp_path / "journal.jsonl").read_text()
    assert "***" in (tmp_path / "journal.jsonl").read_text()
    for text in (str(caught.value), repr(caught.value), caplog.text, repr(wrong), repr(wrong.connection)):
        assert key not in text
        assert "sk-wrong" not in text


def test_a_password_in_the_address_is_refused_unseen() -> None:
    with pytest.raises(LLMError) as caught:
        ask("http://me:hunter2@127.0.0.1:9/v1", 1)
    assert "hunter2" not in str(caught.value)


def test_a_journal_in_use_is_left_alone(tmp_path: Path) -> None:
    from aesexpert.llm import Journal

    with serve() as (url, _), Journal(tmp_path / "j"), pytest.raises(JournalError, match="in use by another process"):
        ask(url, 1, tmp_path / "j")
