"""Fetching the published archives of AesMMIT and AesBench, from the Hub or from files here, into usable folders."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from fsspec.implementations.local import LocalFileSystem
from huggingface_hub import HfFileSystem

from aesexpert.data.archives import PasswordError, checked_members, open_archive, read_member
from aesexpert.data.released import (
    Annotations,
    ReleaseError,
    find_pictures,
    inside_images,
    read_annotations,
    read_rows,
    unpack_pictures,
    write_tables,
)
from aesexpert.data.released_bench import QUESTIONS, read_questions, write_bench_tables
from aesexpert.data.source import BENCH, SOURCES, read_bench, read_source
from aesexpert.hub.errors import HubError
from aesexpert.hub.templates import DATASET_CARD


ARCHIVE, TABLE = ".zip", ".json"

JSON_BYTES = 4_000_000_000
"""The largest JSON file that is read."""

_BLOCK = 8_000_000
"""How much of an archive on the Hub is fetched at a time."""

AskPassword = Callable[[str], str | None]


@dataclass(frozen=True)
class Release:
    """The files of a release, open for reading.

    Args:
        members (`Mapping[str, tuple[ZipFile, ZipInfo]]`): What the archives hold, by path.
        tables (`Mapping[str, bytes]`): The JSON files inside and beside them, by path.
    """

    members: Mapping[str, tuple[ZipFile, ZipInfo]]
    tables: Mapping[str, bytes]


def is_release(names: Iterable[str]) -> bool:
    """Tells whether the files of a repository are an archive rather than something that loads as it is."""
    endings = {PurePosixPath(name).suffix for name in names}
    return ARCHIVE in endings and not {".parquet", ".safetensors", ".arrow"} & endings


def fetch_release(
    names: Iterable[str], folder: Path, ask_password: AskPassword, revision_path: str | None = None
) -> Counter[str]:
    """Unpacks a release and writes the folder that `load_dataset` or `aesexpert bench run` reads.

    Archives on the Hub are read in place: what is needed of them is fetched, and no copy of the archive is kept. The
    folder appears when it is complete. Killed at any moment, the same command goes on with the pictures that are
    missing. A folder of pictures with `sources.csv` that is there already is left as it is.

    Args:
        names (`Iterable[str]`): The files: paths here, or those of a repository.
        folder (`Path`): The folder to make.
        ask_password (`Callable[[str], str | None]`): Gives the password of an archive, whose name it is told.
        revision_path (`str`, *optional*): `datasets/OWNER/NAME@REVISION` if the files are a repository's.

    Returns:
        `Counter[str]`: Labels of AesMMIT's rows that the vocabulary lacks, and how often they occur.

    Raises:
        `HubError`: If the folder holds something else.
        `ArchiveError`: If an archive is damaged, encrypted or made to write elsewhere; nothing is outside the folder.
        `ReleaseError`: If it is neither of the two releases.
    """
    if (folder / SOURCES).is_file():
        return Counter()
    _check_new(folder)
    staging = folder.absolute().with_name(f".{folder.name}.unpacked")
    with ExitStack() as stack:
        release = _open_release(names, ask_password, revision_path, stack)
        if any(PurePosixPath(name).name == QUESTIONS for name in release.tables):
            _make_bench(release, staging)
            staging.rename(folder)
            return Counter()
        annotations = _make_source(release, staging)
    from aesexpert.data.parquet import write_dataset  # brings `datasets`, which no other pull has to wait for

    write_dataset(read_source(staging), folder, DATASET_CARD)
    shutil.rmtree(staging)
    return annotations.unknown_labels


def _open_release(
    names: Iterable[str], ask_password: AskPassword, revision_path: str | None, stack: ExitStack
) -> Release:
    files = HfFileSystem() if revision_path else LocalFileSystem()
    members: dict[str, tuple[ZipFile, ZipInfo]] = {}
    tables: dict[str, bytes] = {}
    for name in sorted(names):
        ending = PurePosixPath(name).suffix
        if ending not in (ARCHIVE, TABLE):
            continue
        path = f"{revision_path}/{name}" if revision_path else name
        file: BinaryIO = stack.enter_context(files.open(path, block_size=_BLOCK))
        if ending == TABLE:
            tables[name] = file.read()
            continue
        archive = stack.enter_context(_open_with_password(file, PurePosixPath(name).name, ask_password))
        for member, info in checked_members(archive, name).items():
            if member in members:
                raise ReleaseError(f"{member!r} is in two of the archives; expected one release")
            members[member] = (archive, info)
            if member.endswith(TABLE):
                tables[member] = read_member(archive, info, JSON_BYTES)
    return Release(members, tables)


def _open_with_password(file: BinaryIO, name: str, ask_password: AskPassword) -> ZipFile:
    try:
        return open_archive(file, name)
    except PasswordError:
        return open_archive(file, name, ask_password(name))


def _make_bench(release: Release, staging: Path) -> None:
    name, content = next((n, c) for n, c in release.tables.items() if PurePosixPath(n).name == QUESTIONS)
    questions = read_questions(content, name)
    files = find_pictures(list(questions), release.members)
    places = inside_images(list(files.values()))
    unpack_pictures({places[path]: release.members[path] for path in files.values()}, staging)
    write_bench_tables(staging, questions, files)
    read_bench(staging / BENCH)  # whatever is wrong is said now, not at the first run


def _make_source(release: Release, staging: Path) -> Annotations:
    if not release.tables:
        raise ReleaseError(f"no JSON file beside or inside the archive; expected AesMMIT's rows, or {QUESTIONS}")
    annotations = read_annotations({name: read_rows(content, name) for name, content in release.tables.items()})
    files = find_pictures(annotations.pictures, release.members)
    places = inside_images(list(files.values()))
    unpack_pictures({places[path]: release.members[path] for path in files.values()}, staging)
    write_tables(staging, annotations, files)
    return annotations


def _check_new(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HubError(f"{folder} exists; an archive is not unpacked over it: name another folder, or remove it")
