"""Archives that are right, and archives made to do harm."""

import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aesexpert.data.archives import (
    ArchiveError,
    PasswordError,
    check_space,
    checked_members,
    extract,
    open_archive,
    read_member,
)
from archives import claim_size, encrypt_zipcrypto, flip_byte, make_link, rename, write_zip


CONTENT = bytes(range(256)) * 40
NAME = "images/picture_0.jpg"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "a.zip", {NAME: CONTENT, "images/other.jpg": b"other" * 99})


def unpack(path: Path, out: Path, password: str | None = None) -> None:
    with open_archive(path, path.name, password) as archive:
        for name, info in checked_members(archive, path.name).items():
            extract(archive, info, out / name)


HOSTILE = {
    "zip slip": (rename(b"../../../picture.jpg"), "leads outside"),
    "slip inside": (rename(b"images/../../pic.jpg"), "leads outside"),
    "absolute": (rename(b"/tmp/zz/picture0.jpg"), "leads outside"),
    "home": (rename(b"~/images/picture.jpg"), "leads outside"),
    "drive": (rename(b"C:/images/pictur.jpg"), "leads outside"),
    "backslashes": (rename(b"images\\picture_0.jpg"), "leads outside"),
    "control characters": (rename(b"images/pict\nre_0.jpg"), "control characters"),
    "zero byte": (rename(b"images/pict\0re_0.jpg"), "control characters"),
    "empty part": (rename(b"images//picture0.jpg"), "no file can have"),
    "not UTF-8": (rename(b"images/\xb0\xa1\xb0\xa1ture0.jpg"), "not UTF-8"),
    "not UTF-8 though it says so": (rename(b"images/\xb0\xa1\xb0\xa1ture0.jpg", utf8=True), "not UTF-8"),
    "link": (make_link(), "is a link"),
    "claims to be small": (claim_size(10), "claims a size"),
    "claims to be a little smaller": (claim_size(len(CONTENT) - 1), "damaged"),
    "claims to be large": (claim_size(2**31), "claims a size"),
    "damaged": (flip_byte(), "damaged"),
}


@pytest.mark.parametrize("spoil, message", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused_by_name_and_write_nothing_outside(
    archive: Path, tmp_path: Path, spoil: Callable[[Path, str], None], message: str
):
    spoil(archive, NAME)
    out = tmp_path / "deep" / "er" / "out"
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ArchiveError, match=rf"pic.*{message}|ture0.*{message}|UTF-8.*ture0"):
        unpack(archive, out)
    written = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "deep") for path in written)
    assert not any(path.is_file() and path.name != "other.jpg" for path in written)


def test_duplicate_names(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.jpg", b"one")
        archive.writestr("a.jpg", b"two")
    with pytest.raises(ArchiveError, match=r"'a\.jpg' stands twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_file_that_is_a_folder_too(tmp_path: Path):
    write_zip(tmp_path / "a.zip", {"a/b": b"one", "a/b/c": b"two"})
    with pytest.raises(ArchiveError, match="'a/b' is a file and a folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(10)])
def test_no_archive(tmp_path: Path, content: bytes):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="no whole zip archive"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_archive_cut_short(archive: Path, tmp_path: Path):
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="no whole zip archive"):
        unpack(archive, tmp_path / "out")


def test_names_without_the_flag_are_read_as_utf8(archive: Path, tmp_path: Path):
    rename("images/pictür_0.jpg".encode())(archive, NAME)
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "images" / "pictür_0.jpg").read_bytes() == CONTENT


def test_a_hundred_thousand_files(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(100_000):
            archive.writestr(zipfile.ZipInfo(f"images/{number}.jpg"), b"")
    with open_archive(tmp_path / "many.zip", "many.zip") as archive:
        assert len(checked_members(archive, "many.zip")) == 100_000


def test_unpacking_goes_on_and_repairs(archive: Path, tmp_path: Path):
    with open_archive(archive, "a.zip") as opened:
        info = checked_members(opened, "a.zip")[NAME]
        target = tmp_path / "out.jpg"
        assert extract(opened, info, target)
        stamp = target.stat().st_mtime_ns
        assert not extract(opened, info, target)
        assert target.stat().st_mtime_ns == stamp
        target.write_bytes(CONTENT[:-1] + b"?")
        assert extract(opened, info, target)
        assert target.read_bytes() == CONTENT


def test_zipcrypto(tmp_path: Path):
    path = encrypt_zipcrypto(tmp_path / "a.zip", {NAME: CONTENT}, b"secret")
    unpack(path, tmp_path / "out", "secret")
    assert (tmp_path / "out" / NAME).read_bytes() == CONTENT
    with pytest.raises(PasswordError, match="needs its password"):
        unpack(path, tmp_path / "out2")
    with pytest.raises(ArchiveError, match="password") as error:
        unpack(path, tmp_path / "out3", "wrong-one")
    assert "wrong-one" not in str(error.value)


@pytest.mark.parametrize("size", [b"small", CONTENT * 50])
def test_aes(tmp_path: Path, size: bytes):
    import pyzipper

    path = tmp_path / "a.zip"
    with pyzipper.AESZipFile(path, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr(NAME, size)
    unpack(path, tmp_path / "out", "secret")
    assert (tmp_path / "out" / NAME).read_bytes() == size
    with pytest.raises(PasswordError, match="does not open"):
        unpack(path, tmp_path / "out2", "wrong")
    with open_archive(path, "a.zip", "secret") as opened:
        assert not extract(opened, checked_members(opened, "a.zip")[NAME], tmp_path / "out" / NAME)


def test_limits(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with open_archive(archive, "a.zip") as opened:
        info = checked_members(opened, "a.zip")[NAME]
        with pytest.raises(ArchiveError, match="more than the 10"):
            read_member(opened, info, 10)
        info.file_size = 2**60
        with pytest.raises(ArchiveError, match="bytes free"):
            check_space([info], tmp_path)


@given(st.binary(max_size=400), st.integers(0, 399))
@settings(max_examples=40, deadline=None)
def test_any_damage_ends_in_the_same_error_or_in_the_same_content(tmp_path_factory, noise: bytes, place: int):
    folder = tmp_path_factory.mktemp("fuzz")
    path = write_zip(folder / "a.zip", {"a.txt": b"a" * 200, "b.txt": b"b" * 90})
    content = path.read_bytes()
    path.write_bytes(content[:place] + noise + content[place + len(noise) :])
    with suppress(ArchiveError):
        unpack(path, folder / "out")
    assert all(file.is_relative_to(folder) for file in folder.rglob("*"))
    for name, expected in (("a.txt", b"a" * 200), ("b.txt", b"b" * 90)):
        if (folder / "out" / name).is_file() and len(noise) == 0:
            assert (folder / "out" / name).read_bytes() == expected
