"""Pushing: one commit, nothing twice, and a clear word when it cannot be."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aesexpert.data import parquet, read_source
from aesexpert.data.parquet import write_dataset
from hub import Hub, serve
from tiny_data import write_tiny_source


Client = Callable[..., subprocess.CompletedProcess[str]]

CARD = ("--license", "other", "--data-source", "AADB")


def refs(server: Hub, repo: str) -> dict[str, str]:
    """The branches and tags of a repository, each with its commit."""
    return json.loads((server.root / repo / "repo.json").read_text())["refs"]


def files(server: Hub, repo: str, ref: str = "refs/heads/main") -> dict[str, str]:
    """The digests of a revision's files."""
    commit = server.root / repo / "commits" / f"{refs(server, repo)[ref]}.json"
    return {path: file["sha256"] for path, file in json.loads(commit.read_text())["files"].items()}


def uploads(log: list[dict]) -> set[str]:
    return {entry["path"].split("?")[0] for entry in log if entry["method"] == "PUT" and entry["status"] == 200}


@pytest.fixture
def many_shards(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of one picture a file."""
    monkeypatch.setattr(parquet, "SHARD_BYTES", 1)
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 1)
    source = read_source(write_tiny_source(tmp_path / "source"))
    return write_dataset(source, tmp_path / "many", root / "model_cards" / "dataset_card.md")


@pytest.mark.slow
def test_again_and_changed(server: Hub, command: Client, aesmmit: Path, many_shards: Path, tmp_path: Path):
    repo = "datasets/acme/again"
    push = ("push", "dataset", aesmmit, "acme/again", *CARD)
    assert command(*push, "--tag", "v1", cwd=tmp_path).returncode == 0
    first, before = refs(server, repo), len(server.log)
    assert command(*push, "--tag", "v1", cwd=tmp_path).returncode == 0
    assert refs(server, repo) == first and not uploads(server.log[before:])
    taken = command("push", "dataset", many_shards, "acme/again", *CARD, cwd=tmp_path)
    assert taken.returncode == 0, taken.stderr
    assert len([path for path in files(server, repo) if path.endswith(".parquet")]) == 12, "old files are gone"
    assert refs(server, repo)["refs/tags/v1"] == first["refs/tags/v1"]
    log = len(server.log)
    refused = command(*push, "--tag", "v1", cwd=tmp_path)
    assert refused.returncode == 1 and "has a tag 'v1' already" in refused.stderr
    assert not uploads(server.log[log:])


def test_killed_and_repeated(
    environment: Callable[..., dict[str, str]],
    command: Client,
    many_shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    repo, add_blob, killed = "datasets/acme/killed", Hub.add_blob, threading.Event()
    line = ["push", "dataset", str(many_shards), "acme/killed", *CARD]

    def four_at_first(self: Hub, content: bytes) -> str:
        if len(uploads(server.log)) >= 4:
            killed.wait(120)
        return add_blob(self, content)

    monkeypatch.setattr(Hub, "add_blob", four_at_first)
    with serve(tmp_path / "hub") as server:  # one that has none of the pictures yet
        process = subprocess.Popen(
            [sys.executable, "-m", "aesexpert", *line],
            env=environment(HF_ENDPOINT=server.endpoint),
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and len(uploads(server.log)) < 4:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        sent, middle = uploads(server.log), len(server.log)
        assert list(files(server, repo)) == [".gitattributes"], "nothing is visible of a push that was killed"
        killed.set()
        assert command(*line, cwd=tmp_path, HF_ENDPOINT=server.endpoint).returncode == 0
        assert not sent & uploads(server.log[middle:]), "nothing is sent twice"
        assert len([path for path in files(server, repo) if path.endswith(".parquet")]) == 12
        assert len(list((server.root / repo / "commits").iterdir())) == 2


def test_pull_request_and_gates(server: Hub, command: Client, aesmmit: Path, tmp_path: Path):
    repo = "datasets/acme/gated"
    push = ("push", "dataset", aesmmit, "acme/gated", *CARD)
    assert command(*push, "--public", "--gated", "manual", cwd=tmp_path).returncode == 0
    meta = json.loads((server.root / repo / "repo.json").read_text())
    assert meta["gated"] == "manual" and not meta["private"]
    refused = command("pull", "acme/gated", cwd=tmp_path, token="hf_bob")
    assert refused.returncode == 1 and "access to acme/gated is restricted" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    before = files(server, repo)
    proposed = command(*push[:-1], "PARA", "--create-pr", cwd=tmp_path, token="hf_bob")
    assert proposed.returncode == 0, proposed.stderr
    assert proposed.stdout.strip().endswith("/discussions/1")
    assert files(server, repo) == before
    assert files(server, repo, "refs/pr/1")["README.md"] != before["README.md"]


def test_dry_run_lists_and_asks_nothing(server: Hub, command: Client, aesmmit: Path, tmp_path: Path):
    before = len(server.log)
    result = command("push", "dataset", aesmmit, "acme/dry", *CARD, "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    listed = {line.split()[1]: int(line.split()[0].replace(",", "")) for line in result.stdout.splitlines()[:-1]}
    assert set(listed) == {"README.md", "sources.csv", *(f"data/{path.name}" for path in (aesmmit / "data").iterdir())}
    assert all(listed[f"data/{path.name}"] == path.stat().st_size for path in (aesmmit / "data").iterdir())
    assert len(server.log) == before


METRIC = ("push", "metric", "acme/refused")
REFUSED = {
    "read-only token": (METRIC, {"token": "hf_alice_read"}, "may not write to acme/refused"),
    "another's namespace": (METRIC, {"token": "hf_bob"}, "may not write to acme/refused"),
    "unknown token": (METRIC, {"token": "hf_unknownsecret"}, "does not accept your token"),
    "token of odd characters": (METRIC, {"token": "hf_gehéimnis"}, "characters that no token has"),
    "token of two lines": (METRIC, {"token": "hf_alice\r\nX-Evil: hf_unknownsecret"}, "token"),
    "no token": (METRIC, {"token": ""}, "cannot be written without a token"),
    "no network": (METRIC, {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached (ConnectError)"),
    "offline": (METRIC, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    "no owner": (("push", "metric", "refused"), {}, "'refused' has no owner; expected OWNER/NAME"),
    "odd characters": (("push", "metric", "acme/re fu$ed"), {}, "is no repository's name"),
    "upwards": (("push", "metric", "acme/.."), {}, "is no repository's name"),
    "three parts": (("push", "metric", "a/b/c"), {}, "is no repository's name"),
    "no module's name": (("push", "metric", "acme/aes-bench"), {}, "cannot be a metric's name"),
    "tag of a pull request": ((*METRIC, "--tag", "v1", "--create-pr"), {}, "changes neither tags nor access"),
    "pull of what is not there": (("pull", "acme/nothing"), {}, "there is no acme/nothing"),
    "pull without network": (("pull", "acme/x"), {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
    "pull without owner": (("pull", "aesmmit"), {}, "'aesmmit' has no owner"),
}


@pytest.mark.parametrize("line, others, message", REFUSED.values(), ids=REFUSED)
def test_refusals_say_why_and_show_no_token(
    server: Hub,
    environment: Callable[..., dict[str, str]],
    line: tuple[str, ...],
    others: dict[str, str],
    message: str,
    tmp_path: Path,
):
    home, token = tmp_path / "home", others.get("token", "hf_alice")
    variables = environment(home=home, **{"token": token, "HF_DEBUG": "1", **others})
    command = [sys.executable, "-m", "aesexpert", *line]
    process = subprocess.Popen(
        command, env=variables, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert f"aesexpert: error: {message}" in output or message in output.splitlines()[-1]
    assert "Traceback" not in output
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for place in (output.encode(), shown, *written):
        assert b"unknownsecret" not in place and "gehéimnis".encode() not in place
        assert token == "" or token.encode() not in place
    assert not (server.root / "spaces" / "acme" / "refused").exists()


def test_private_means_private(server: Hub, command: Client, tmp_path: Path):
    assert command("push", "metric", "acme/closed", cwd=tmp_path).returncode == 0
    for token in ("hf_bob", ""):
        refused = command("pull", "acme/closed", cwd=tmp_path, token=token)
        assert refused.returncode == 1 and "there is no acme/closed, or it is private" in refused.stderr
    assert command("pull", "acme/closed", "mine", cwd=tmp_path, token="hf_alice_read").returncode == 0


@pytest.mark.parametrize("missing", ["--license", "--data-source"])
def test_licence_and_sources_have_no_default(command: Client, aesmmit: Path, tmp_path: Path, missing: str):
    given = [option for option in ("--license", "--data-source") if option != missing]
    result = command("push", "dataset", aesmmit, "acme/x", given[0], "other", cwd=tmp_path)
    assert result.returncode == 2 and missing in result.stderr


def test_a_template_with_a_missing_value(server: Hub, command: Client, aesmmit: Path, tmp_path: Path):
    template = tmp_path / "card.md"
    template.write_text("---\n{{ card_data }}\n---\n\n{{ pictures }} by {{ painter }}\n")
    before = len(server.log)
    result = command("push", "dataset", aesmmit, "acme/x", *CARD, "--card-template", template, cwd=tmp_path)
    assert result.returncode == 1
    assert "card.md: 'painter' is undefined; the values there are: about, annotators" in result.stderr
    assert len(server.log) == before
