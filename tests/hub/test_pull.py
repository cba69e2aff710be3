"""Pulling: a folder that appears when it is complete, and is brought up to date by the same command."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hub
from hub import ROUTES, Hub, read_commit


Client = Callable[..., subprocess.CompletedProcess[str]]

UPLOAD = """
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
api = HfApi()
api.create_repo({repo!r}, repo_type={kind!r}, exist_ok=True)
operations = [CommitOperationAdd(path, content.encode()) for path, content in {files!r}.items()]
operations += [CommitOperationDelete(path) for path in {gone!r}]
api.create_commit({repo!r}, operations, commit_message="files", repo_type={kind!r})
"""


@pytest.fixture
def upload(client: Client, tmp_path: Path) -> Callable[..., None]:
    def run(repo: str, files: dict[str, str], kind: str = "model", gone: tuple[str, ...] = ()) -> None:
        client(UPLOAD.format(repo=repo, kind=kind, files=files, gone=gone), cwd=tmp_path)

    return run


def names(folder: Path) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {file.as_posix() for file in files if file.parts[0] not in (".cache", ".gitattributes")}


def test_brought_up_to_date(server: Hub, command: Client, upload: Callable[..., None], tmp_path: Path):
    upload("acme/news", {"a.txt": "one", "b.txt": "two", "data/c.txt": "three"})
    assert command("pull", "acme/news", cwd=tmp_path).returncode == 0
    assert names(tmp_path / "news") == {"a.txt", "b.txt", "data/c.txt"}
    upload("acme/news", {"a.txt": "changed", "d.txt": "four"}, gone=("b.txt", "data/c.txt"))
    before = len(server.log)
    assert command("pull", "acme/news", cwd=tmp_path).returncode == 0
    assert names(tmp_path / "news") == {"a.txt", "d.txt"}
    assert (tmp_path / "news" / "a.txt").read_text() == "changed"
    fetched = [
        entry["path"] for entry in server.log[before:] if entry["method"] == "GET" and "/resolve/" in entry["path"]
    ]
    assert all(path.endswith(("a.txt", "d.txt", ".gitattributes")) for path in fetched)
    assert [path.name for path in tmp_path.iterdir()] == ["news"]


def test_killed_and_repeated(
    server: Hub,
    environment,
    command: Client,
    upload: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    upload("acme/slow", {f"{number:02}.txt": str(number) for number in range(40)})
    answer, killed, asked = Hub.download, threading.Event(), []

    def ten_at_first(self: Hub, call):
        if call.request.method == "GET":
            asked.append(call.path)
            if len(asked) > 10:
                killed.wait(120)
        return answer(self, call)

    routes = [
        (verb, pattern, ten_at_first if handler is answer else handler, w) for verb, pattern, handler, w in ROUTES
    ]
    monkeypatch.setattr(hub, "ROUTES", routes)
    line = [sys.executable, "-m", "aesexpert", "pull", "acme/slow"]
    process = subprocess.Popen(line, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    partial = tmp_path / ".slow.pulling"
    while process.poll() is None and len(list(partial.glob("*.txt"))) < 5:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "slow").exists()
    there = {path.name: path.stat().st_ino for path in partial.glob("*.txt")}
    assert 5 <= len(there) < 40
    killed.set()
    assert command("pull", "acme/slow", cwd=tmp_path).returncode == 0
    assert len(names(tmp_path / "slow")) == 40
    kept = {name for name, inode in there.items() if (tmp_path / "slow" / name).stat().st_ino == inode}
    assert len(kept) >= len(there) - 8, "what was complete stays; a file in each of eight threads may be cut"
    assert not partial.exists()


def test_a_folder_of_ones_own_is_left_alone(command: Client, upload: Callable[..., None], tmp_path: Path):
    upload("acme/mine", {"a.txt": "theirs"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("my own")
    result = command("pull", "acme/mine", cwd=tmp_path)
    assert result.returncode == 1 and "mine exists and was not pulled from the Hub" in result.stderr
    assert (tmp_path / "mine" / "a.txt").read_text() == "my own"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_two_types_of_one_name(command: Client, upload: Callable[..., None], tmp_path: Path):
    upload("acme/both", {"a.txt": "model"})
    upload("acme/both", {"a.txt": "dataset"}, kind="dataset")
    result = command("pull", "acme/both", cwd=tmp_path)
    assert result.returncode == 1 and "is a dataset and a model; say which one you mean with --type" in result.stderr
    assert command("pull", "acme/both", "--type", "model", cwd=tmp_path).returncode == 0
    assert (tmp_path / "both" / "a.txt").read_text() == "model"


def test_revisions(command: Client, upload: Callable[..., None], server: Hub, tmp_path: Path):
    upload("acme/dated", {"a.txt": "old"})
    meta = json.loads((server.root / "models/acme/dated/repo.json").read_text())
    upload("acme/dated", {"a.txt": "new"})
    old = meta["refs"]["refs/heads/main"]
    assert command("pull", "acme/dated", "old", "--revision", old, cwd=tmp_path).returncode == 0
    assert (tmp_path / "old" / "a.txt").read_text() == "old"
    result = command("pull", "acme/dated", "--revision", "v9", cwd=tmp_path)
    assert result.returncode == 1 and "acme/dated has no such revision" in result.stderr


@pytest.mark.parametrize(
    "repo, name",
    [
        ("acme/upwards", "../evil.txt"),
        ("acme/absolute", "/tmp/evil.txt"),
        ("acme/round", "a/../../evil.txt"),
        ("acme/windows", "a\\evil.txt"),
    ],
)
def test_names_that_lead_outside(
    server: Hub, command: Client, upload: Callable[..., None], tmp_path: Path, repo: str, name: str
):
    upload(repo, {"a.txt": "harmless"})
    folder = server.root / "models" / repo
    commit = folder / "commits" / (json.loads((folder / "repo.json").read_text())["refs"]["refs/heads/main"] + ".json")
    content = json.loads(commit.read_text())
    content["files"][name] = content["files"]["a.txt"]
    commit.write_text(json.dumps(content))
    read_commit.cache_clear()
    cwd = tmp_path / "a" / "b"
    cwd.mkdir(parents=True)
    result = command("pull", repo, cwd=cwd)
    assert result.returncode == 1 and repr(name) in result.stderr and "nothing was fetched" in result.stderr
    assert not list(tmp_path.rglob("*.txt"))
