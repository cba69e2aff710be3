"""What is sent to a server, and what is made of replies that no server should send."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aesexpert.llm import MissingExtraError
from fake_openai import Config, serve
from llm_helpers import ask


COMPLETION = b'{"choices": [{"message": {"content": "Soft light."}}]}'


def page(content: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A reply over HTTP."""
    return b"\r\n".join(
        [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(content), b"Connection: close", *headers, b"", content]
    )


NO_MODELS = page(b"", status=b"404 Not Found")


@contextmanager
def replying(reply: bytes, greeting: bytes = NO_MODELS) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says always the same, and what it was told."""
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with connection:
            head = connection.recv(1 << 16)
            heads.append(head)
            connection.sendall(greeting if head.startswith(b"GET") else reply)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", heads
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "Bad status line"),
        (b"", "Server disconnected"),
        (page(b"hello"), "no chat completion: 'hello'"),
        (page(b"hello", b"Content-Type: application/json"), "no chat completion: 'hello'"),
        (page(b"[" * 10_000, b"Content-Type: application/json"), "no chat completion"),
        (page(b"\xff\xfe{}"), "no chat completion"),
        (page(b"{}", b"Content-Encoding: gzip"), "decompressing"),
        (page(b"<h1>down</h1>", status=b"502 Bad Gateway"), "502: <h1>down</h1>"),
    ],
)
def test_a_reply_that_is_none_fails_with_the_reason(reply: bytes, reason: str) -> None:
    with replying(reply) as (url, _):
        answers = ask(url, 2, attempts=1)
    for answer in answers.values():
        assert reason in answer.failure
        assert "\n" not in answer.failure


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", page(b"hello", b"Content-Type: application/json")]
)
def test_a_strange_list_of_models_is_no_reason_to_ask_nothing(greeting: bytes) -> None:
    with replying(page(COMPLETION), greeting) as (url, heads):
        (answer,) = ask(url, 1, schema=None).values()
    assert answer.text == "Soft light."
    assert [head.split()[0] for head in heads] == [b"GET", b"POST"]


def test_the_headers_are_those_of_openais_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-a")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-b")
    with replying(page(b"{}")) as (url, heads):
        ask(url, 1, attempts=1, api_key="sk-right-and-long")
    sent = heads[-1].decode().lower()
    for line in (
        "post /v1/chat/completions http/1.1",
        "authorization: bearer sk-right-and-long",
        "content-type: application/json",
        "openai-organization: org-a",
        "openai-project: proj-b",
    ):
        assert line in sent.split("\r\n")
    assert "x-stainless" not in sent


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aesexpert.llm.endpoint", raising=False)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"openai is not installed.*pip install 'aesexpert\[llm\]'"):
        ask("http://127.0.0.1:9/v1", 1)


def test_as_many_connections_as_requests_under_way() -> None:
    with serve(Config(latency=1.0, jitter=0.0)) as (url, server):
        ask(url, 300, concurrency=150)
    assert 100 < server.peak <= 150  # 100 is where HTTP clients stop by default
