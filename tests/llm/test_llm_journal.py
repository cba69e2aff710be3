"""The journal file: what it keeps, and what it survives."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aesexpert.llm.answers import Reply
from aesexpert.llm.errors import JournalError
from aesexpert.llm.journal import Journal, merge_journals


KEY = "0123456789" * 4
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def write(path: Path, keys: list[str]) -> None:
    with Journal(path) as journal:
        for key in keys:
            journal.add_reply(key, f"name of {key}", Reply(f"text of {key}", "stop", 3, 4))


@settings(deadline=None)
@given(text=TEXTS, refusal=TEXTS, numbers=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))
def test_replies_come_back_as_they_were(
    text: str, refusal: str, numbers: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    reply = Reply(text, "stop", *numbers, refusal)
    with Journal(path) as journal:
        journal.add_reply(KEY, "a\nb", reply)
        assert journal.replies(KEY) == [reply]
    with Journal(path) as journal:
        assert journal.replies(KEY) == [reply]
        assert journal.replies("other") == []
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j.jsonl"
    write(path, ["a", "b"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    write(path, ["c"])
    with Journal(path) as journal:
        assert journal.replies("a") and journal.replies("c") and not journal.replies("b")
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_torn_header_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"aesexpert_jou')
    write(path, ["a"])
    with Journal(path) as journal:
        assert journal.replies("a")


def test_a_journal_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text('{"aesexpert_journal": 2}\n{"something": "new"}\n{"torn')
    before = path.read_bytes()
    with pytest.raises(JournalError, match="is a journal of version 2, this library writes version 1"):
        Journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["hello\nworld\n", '{"id": 3}\n', "[1]\n", '{"aesexpert_journal": 1}\n{"x": 1}\n'])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text(content)
    with pytest.raises(JournalError, match="not a line of a journal"):
        Journal(path)
    assert path.read_text() == content


def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(JournalError, match="cannot write /proc/nowhere"):
        Journal("/proc/nowhere/j.jsonl")


def test_a_full_disk_still_has_room_for_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk on which the ballast's bytes are free only once it is gone."""
    path, real_write = tmp_path / "j.jsonl", os.write
    with Journal(path) as journal:
        ballast = tmp_path / ".j.jsonl.ballast"

        def write(descriptor: int, data: bytes) -> int:
            if ballast.exists():
                real_write(descriptor, data[:10])
                raise OSError(28, "No space left on device")
            return real_write(descriptor, data)

        journal.add_reply("a", "a", Reply("before", "stop", 1, 1))
        monkeypatch.setattr(os, "write", write)
        journal.add_reply("b", "b", Reply("under way", "stop", 1, 1))
        assert journal.is_full
        assert [reply.text for reply in journal.replies("b")] == ["under way"]
        monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(JournalError, match="No space left on device"):
            journal.add_reply("c", "c", Reply("too late", "stop", 1, 1))
    monkeypatch.undo()
    with Journal(path) as journal:
        assert journal.replies("a") and journal.replies("b") and not journal.replies("c")


def test_a_secret_is_not_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl", secret="sk-secret") as journal:
        journal.add_reply(KEY, "a", Reply("you sent sk-secret", "stop", 1, 1))
    assert "sk-secret" not in (tmp_path / "j.jsonl").read_text()


def test_journals_are_merged_without_repetition(tmp_path: Path) -> None:
    write(tmp_path / "1.jsonl", ["a", "b"])
    write(tmp_path / "2.jsonl", ["c"])
    parts = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    merge_journals(parts, tmp_path / "all.jsonl")
    write(tmp_path / "2.jsonl", ["d"])
    merge_journals(parts, tmp_path / "all.jsonl")
    with Journal(tmp_path / "all.jsonl") as journal:
        assert [len(journal.replies(key)) for key in "abcde"] == [1, 1, 1, 1, 0]


def test_a_failure_holds_until_an_answer_comes(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.add_failure(KEY, "a", "503: busy")
        assert journal.failure(KEY) == "503: busy"
    with Journal(tmp_path / "j.jsonl") as journal:
        assert journal.failure(KEY) == "503: busy"
        journal.add_reply(KEY, "a", Reply("there", "stop", 1, 1))
        assert journal.failure(KEY) is None
