"""Zip archives from elsewhere: every member is checked before anything is written, and nothing leaves the target."""

import errno
import os
import shutil
import stat
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, BadZipFile, ZipFile, ZipInfo


_AES = 99
_AES_EXTRA = 96
"""More bytes than salt, check value and code of an AES member have together, and than ZipCrypto's header of 12."""

_COMPRESSIONS = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA, _AES)
_DEFLATE_RATIO = 1032
"""What deflate can shrink at most (zlib's own figure)."""

_CHUNK = 1 << 20
_SHOWN = 10
_IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800


class ArchiveError(ValueError):
    """An archive that is not unpacked: damaged, encrypted, or made to write where it should not."""


class PasswordError(ArchiveError):
    """An encrypted archive without its password."""


def open_archive(file: str | Path | BinaryIO, name: str, password: str | None = None) -> ZipFile:
    """Opens an archive for reading.

    Args:
        file (`str`, `Path` or `BinaryIO`): The archive; of an open file only the parts that are needed are read.
        name (`str`): What messages call it.
        password (`str`, *optional*): Its password.

    Returns:
        `ZipFile`: The archive; of AES encryption, pyzipper's class of the same methods.

    Raises:
        `ArchiveError`: If it is no zip archive, or has names that are not UTF-8.
        `PasswordError`: If it is encrypted and there is no password.
    """
    archive = _open(ZipFile, file, name)
    if any(info.compress_type == _AES for info in archive.infolist()):
        archive = _open(_aes_class(name), file, name)
    if any(info.flag_bits & _ENCRYPTED for info in archive.infolist()):
        if not password:
            raise PasswordError(f"{name} is encrypted and needs its password")
        archive.setpassword(password.encode())
    return archive


def _open(kind: Any, file: str | Path | BinaryIO, name: str) -> ZipFile:
    try:
        return kind(file)
    except UnicodeDecodeError as error:
        raise ArchiveError(
            f"{name} has a member whose name is not UTF-8: {error.object!r}; nothing was unpacked"
        ) from error
    except (BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise ArchiveError(f"{name} is no whole zip archive ({error}); fetch it again") from error


def _aes_class(name: str) -> Any:
    try:
        from pyzipper import AESZipFile
    except ImportError as error:
        raise ArchiveError(f"{name} has AES encryption, which needs pyzipper: pip install 'aesexpert[aes]'") from error
    return AESZipFile


def checked_members(archive: ZipFile, name: str) -> dict[str, ZipInfo]:
    """Lists the files of an archive by the paths that they may be written to.

    Args:
        archive (`ZipFile`): The archive.
        name (`str`): What messages call it.

    Returns:
        `dict[str, ZipInfo]`: Members by relative path with forward slashes, without folders and file managers' notes.

    Raises:
        `ArchiveError`: If a member's name leads outside or is not UTF-8, if it is no plain file, stands twice, is of
            an unknown compression or lies about its size. The message names the members.
    """
    members: dict[str, ZipInfo] = {}
    refused: list[str] = []
    for info in archive.infolist():
        path = _readable_name(info)
        reason = _why_refused(info, path)
        if reason is None and path in members:
            reason = "stands twice"
        if reason:
            refused.append(f"{(path or info.orig_filename)!r} {reason}")
        elif path and not info.is_dir() and not set(_IGNORED) & set(PurePosixPath(path).parts):
            members[path] = info
    refused += [f"{path!r} is a file and a folder" for path in _folders(members) & set(members)]
    if refused:
        more = f", and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise ArchiveError(f"{name} is not unpacked: {'; '.join(refused[:_SHOWN])}{more}")
    return members


def _folders(members: Mapping[str, ZipInfo]) -> set[str]:
    folders: set[str] = set()
    for path in members:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    return folders


def _readable_name(info: ZipInfo) -> str | None:
    """A member's name; none if it is not UTF-8. Names without the flag for it are read as code page 437 by zipfile."""
    name = info.orig_filename
    if info.flag_bits & _UTF8_NAME or name.isascii():
        return name.rstrip("/")
    with suppress(UnicodeError):
        return name.encode("cp437").decode("utf-8").rstrip("/")
    return None


def _why_refused(info: ZipInfo, path: str | None) -> str | None:
    if path is None:
        return "has a name that is not UTF-8"
    if not path.isprintable():
        return "has a name with control characters"
    if (
        not path
        or path.startswith(("/", "~"))
        or "\\" in path
        or path[1:2] == ":"
        or {"..", "."} & set(path.split("/"))
    ):
        return "leads outside the folder"
    if any(not part or len(part.encode()) > 200 for part in path.split("/")):
        return "has a name that no file can have"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.compress_type not in _COMPRESSIONS:
        return "has an unknown compression"
    if not _size_is_possible(info):
        return f"claims a size of {info.file_size:,} bytes, which its {info.compress_size:,} packed bytes cannot have"
    return None


def _size_is_possible(info: ZipInfo) -> bool:
    packed, size = info.compress_size, info.file_size
    if info.compress_type == ZIP_STORED:
        return size <= packed <= size + (_AES_EXTRA if info.flag_bits & _ENCRYPTED else 0)
    if info.compress_type == ZIP_DEFLATED:
        return size <= packed * _DEFLATE_RATIO + 64 and packed <= size + size // 1000 + 64 + _AES_EXTRA
    return True


def read_member(archive: ZipFile, info: ZipInfo, limit: int) -> bytes:
    """Reads a small member whole.

    Args:
        archive (`ZipFile`): The archive.
        info (`ZipInfo`): The member.
        limit (`int`): The largest size that is read.

    Returns:
        `bytes`: Its content.

    Raises:
        `ArchiveError`: If it is larger, damaged, or the password is wrong.
    """
    if info.file_size > limit:
        raise ArchiveError(f"{info.filename!r} has {info.file_size:,} bytes, more than the {limit:,} that are read")
    try:
        return archive.read(info)
    except Exception as error:  # zipfile and the decompressors below it have no base class for their errors
        raise _damaged(info, error) from error


def extract(archive: ZipFile, info: ZipInfo, target: Path) -> bool:
    """Unpacks a member, unless it is there already and whole.

    The content is checked against size and checksum before the file gets its name, so a file that is there is whole.

    Args:
        archive (`ZipFile`): The archive.
        info (`ZipInfo`): The member.
        target (`Path`): The file to write.

    Returns:
        `bool`: Whether anything was unpacked.

    Raises:
        `ArchiveError`: If the member is damaged or the password is wrong; the file is not there then.
    """
    if is_whole(info, target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        with archive.open(info) as packed, unfinished.open("wb") as file:
            shutil.copyfileobj(packed, file, _CHUNK)
        if unfinished.stat().st_size != info.file_size:
            raise BadZipFile(f"{unfinished.stat().st_size:,} bytes in place of {info.file_size:,}")
        os.replace(unfinished, target)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what a place before the archive's beginning ends in; others are the disk's
            raise
        raise _damaged(info, error) from error
    except Exception as error:
        raise _damaged(info, error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return True


def is_whole(info: ZipInfo, file: Path) -> bool:
    """Tells whether a file is what a member holds, by size and, where the archive has one, by checksum."""
    if not file.is_file() or file.is_symlink() or file.stat().st_size != info.file_size:
        return False
    if info.CRC == 0:  # AES encryption of the second version has another check, which is gone with the packed bytes
        return True
    checksum = 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum == info.CRC


def check_space(infos: Sequence[ZipInfo], folder: Path) -> None:
    """Checks that a disk has room for some members.

    Args:
        infos (`Sequence[ZipInfo]`): What is going to be unpacked.
        folder (`Path`): Where to.

    Raises:
        `ArchiveError`: If it has not.
    """
    needed, free = sum(info.file_size for info in infos), shutil.disk_usage(folder).free
    if needed > free:
        raise ArchiveError(
            f"{folder} has {free:,} bytes free, and {needed:,} are needed; free some or name another folder"
        )


def _damaged(info: ZipInfo, error: Exception) -> ArchiveError:
    if isinstance(error, RuntimeError) and "password" in str(error).lower():
        return PasswordError(f"the password does not open {info.filename!r}")
    if info.flag_bits & _ENCRYPTED:
        return ArchiveError(f"{info.filename!r} is damaged, or the password is wrong ({type(error).__name__})")
    return ArchiveError(f"{info.filename!r} is damaged ({error}); fetch the archive again")
