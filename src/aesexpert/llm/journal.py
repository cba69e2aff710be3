"""The journal: every answer on disk, with one write, before anything is made of it.

A JSON Lines file. Its first line says which version of the format it is; each other line is one of

    {"key", "id", "text", "finish_reason", "prompt_tokens", "completion_tokens", "refusal"[, "batch"]}   an answer
    {"key", "id", "failure"[, "batch"]}                     a request given up, and why
    {"submitting": batch's content key, "requests": n}      a batch about to be created
    {"collected": batch's id, "submitting": content key}    a batch of which every answer is above

A kill tears at most the last line, which is cut off when the journal is opened again.
"""

import errno
import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from aesexpert.llm.answers import Reply
from aesexpert.llm.errors import JournalError


VERSION = 1
HEADER = "aesexpert_journal"

BALLAST = 1 << 19
"""Bytes kept free beside the journal, so that on a full disk the answers under way still find room."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class _Index:
    """Where everything stands: a few bytes an answer, so that a long journal fits into memory."""

    answers: dict[str, list[int]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    submitting: dict[str, int] = field(default_factory=dict)
    collected: set[str] = field(default_factory=set)
    of_batch: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, line: Mapping[str, Any], offset: int) -> None:
        if "collected" in line:
            self.collected.add(line["collected"])
            self.submitting.pop(line["submitting"], None)
            self.of_batch.pop(line["collected"], None)
        elif "submitting" in line:
            self.submitting[line["submitting"]] = line["requests"]
        else:
            self._add_outcome(line, offset)

    def _add_outcome(self, line: Mapping[str, Any], offset: int) -> None:
        key = line["key"]
        if "failure" in line:
            self.failures[key] = line["failure"]
        else:
            self.answers.setdefault(key, []).append(offset)
            self.failures.pop(key, None)
        if "batch" in line:
            self.of_batch[line["batch"]].add(key)


class Journal:
    """A journal that is open for reading and appending, by one process at a time.

    Args:
        path (`str` or `Path`): The file; made if it is missing.
        secret (`str`, *optional*, defaults to `""`): A text that is never written, whatever a server may echo.

    Raises:
        `JournalError`: If the file is no journal, of another version, damaged, or in use.
    """

    def __init__(self, path: str | Path, secret: str = "") -> None:
        self.path, self._secret = Path(path), secret
        self._index = _Index()
        self._ballast = self.path.with_name(f".{self.path.name}.ballast")
        self.is_full = False
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (closed by `close`)
            self._reader = open(self.path, "rb")  # noqa: SIM115
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(f"{self.path} is in use by another process; let it finish or stop it") from error
        self._end = self._load()
        with _explained(self.path):
            self._file.truncate(self._end)
            if self._end == 0:
                self._append(json.dumps({HEADER: VERSION}))
            self._ballast.write_bytes(os.urandom(BALLAST))

    def _load(self) -> int:
        """Reads the index, and returns where the last whole line ends."""
        end = 0
        # not through `_reader`, whose buffer would keep the torn line that is cut off after this
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                self._load_line(line, number, end)
                end += len(line)
        return end

    def _load_line(self, line: bytes, number: int, offset: int) -> None:
        try:
            entry = json.loads(line)
            if number == 1:
                _check_header(self.path, entry)
            else:
                self._index.add(entry, offset)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(
                f"{self.path}, line {number}: not a line of a journal ({line[:60].decode(errors='replace')!r}); "
                "mend or remove it, or name another folder"
            ) from error

    def replies(self, key: str) -> list[Reply]:
        """Reads the replies to a request, in the order in which they came.

        Args:
            key (`str`): The request's key.

        Returns:
            `list[Reply]`: The replies; empty if there are none.
        """
        replies = []
        for offset in self._index.answers.get(key, ()):
            line = json.loads(self._read_line(offset))
            replies.append(Reply(**{name: line[name] for name in Reply.__dataclass_fields__}))
        return replies

    def _read_line(self, offset: int) -> bytes:
        self._reader.seek(offset)
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            raise JournalError(f"{self.path} was shortened while it was in use; run the command again")
        return line

    def failure(self, key: str) -> str | None:
        """Tells why a request was given up, if it was and no answer came later."""
        return self._index.failures.get(key)

    def add_reply(self, key: str, request_id: str, reply: Reply, batch: str | None = None) -> None:
        """Writes down a reply.

        Args:
            key (`str`): The request's key.
            request_id (`str`): The request's name.
            reply (`Reply`): The reply.
            batch (`str`, *optional*): The batch that it came with.
        """
        self._add({"key": key, "id": request_id, **vars(reply)}, batch)

    def add_failure(self, key: str, request_id: str, failure: str, batch: str | None = None) -> None:
        """Writes down why a request was given up.

        Args:
            key (`str`): The request's key.
            request_id (`str`): The request's name.
            failure (`str`): The reason.
            batch (`str`, *optional*): The batch that it failed in.
        """
        self._add({"key": key, "id": request_id, "failure": failure}, batch)

    def _add(self, line: dict[str, Any], batch: str | None = None) -> None:
        if batch is not None:
            line["batch"] = batch
        text = json.dumps(line, ensure_ascii=False)
        if self._secret and self._secret in text:
            text = text.replace(self._secret, "***")
        offset = self._end
        self._append(text)
        self._index.add(line, offset)

    def _append(self, text: str) -> None:
        data = text.encode("utf-8", errors="replace") + b"\n"
        try:
            self._write(data)
        except OSError as error:
            if error.errno not in _FULL or not self._ballast.exists():
                raise JournalError(f"cannot write {self.path}: {error.strerror}") from error
            self.is_full = True
            self._ballast.unlink()
            self._append(text)

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file.fileno(), data[written:])
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += len(data)

    def begin_batch(self, content_key: str, requests: int) -> None:
        """Writes down that a batch is about to be created, before it is."""
        self._add({"submitting": content_key, "requests": requests})

    def end_batch(self, batch: str, content_key: str) -> None:
        """Writes down that every answer of a batch is in the journal."""
        self._add({"collected": batch, "submitting": content_key})

    @property
    def open_batches(self) -> dict[str, int]:
        """The content keys of batches begun and not collected, with the number of their requests."""
        return dict(self._index.submitting)

    def is_collected(self, batch: str) -> bool:
        """Tells whether every answer of a batch is in the journal."""
        return batch in self._index.collected

    def has_from(self, batch: str, key: str) -> bool:
        """Tells whether a batch's answer to a request is in the journal already."""
        return key in self._index.of_batch.get(batch, ())

    def close(self) -> None:
        """Lets go of the file."""
        self._ballast.unlink(missing_ok=True)
        self._file.close()
        self._reader.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what the operating system says into an error that names the file."""
    try:
        yield
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}; make room, or name another folder"
        raise JournalError(message) from error


def _check_header(path: Path, entry: Any) -> None:
    version = entry.get(HEADER)
    if version is None:
        raise ValueError("no header")
    if version != VERSION:
        raise JournalError(
            f"{path} is a journal of version {version!r}, this library writes version {VERSION}; finish it with the "
            "version of the library that began it, or name another folder"
        )


def merge_journals(parts: Iterable[str | Path], out: str | Path) -> None:
    """Joins the journals of shards into one, all or nothing.

    Args:
        parts (`Iterable[str` or `Path]`): The journals.
        out (`str` or `Path`): The journal to make; lines that it has already are kept.

    Raises:
        `JournalError`: If a journal cannot be read, is in use, or `out` cannot be written.
    """
    out = Path(out)
    unfinished = out.with_name(f".{out.name}.partial")
    journals = [Path(path) for path in ([out] if out.exists() else []) + list(parts)]
    seen: set[bytes] = set()
    with _explained(out), open(unfinished, "wb") as target:
        target.write(json.dumps({HEADER: VERSION}).encode() + b"\n")
        for path in journals:
            with Journal(path), open(path, "rb") as source:
                next(source)
                for line in source:
                    digest = sha256(line).digest()
                    if digest not in seen:
                        seen.add(digest)
                        target.write(line)
    unfinished.replace(out)
