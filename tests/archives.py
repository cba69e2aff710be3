"""Released archives made on the fly, and ways to make them hostile."""

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def llava_row(image: str, turns: list[tuple[str, str]], **labels: str) -> dict[str, Any]:
    """A row of AesMMIT as it is published."""
    conversations = []
    for number, (prompt, response) in enumerate(turns):
        prompt = f"<image>\n{prompt}" if number == 0 else prompt
        conversations += [{"from": "human", "value": prompt}, {"from": "gpt", "value": response}]
    return {"id": image.rsplit(".")[0], "image": image, "conversations": conversations, **labels}


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Writes a well-behaved archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def aesmmit_members(pictures: dict[str, bytes]) -> dict[str, bytes]:
    """A small AesMMIT: critiques, an open-ended and a multiple-choice question for every picture."""
    rows = []
    for image in pictures:
        choice = "Is it calm? Choose one from the following options:\nA) Yes\nB) No"
        rows += [
            llava_row(image, [("How is it?", f"The picture {image} is calm.")], type="description"),
            llava_row(image, [("Why is it calm?", "Because it is blue.")], type="VQA", qtype="Why"),
            llava_row(image, [(choice, "A) Yes")], type="VQA", qtype="Yes-No"),
        ]
    rows[1]["qtype"] = "Where"
    table = json.dumps(rows).encode()
    return {"AesMMIT/AesMMIT.json": table, **{f"AesMMIT/images/{name}": data for name, data in pictures.items()}}


def aesbench_members(pictures: dict[str, bytes]) -> dict[str, bytes]:
    """A small AesBench without answers, as its authors publish it."""
    four = "A) Blue\nB) Red\nC) Green\nD)Grey"
    questions = {
        name: {
            "AesP_data": {"Question": "Which colour fills the frame?", "Options": four},
            "AesE_data": {"Question": "What does it convey?", "Options": "A) Calm\nB) Joy"},
            "AesA1_data": {"Question": "How beautiful is it?", "Options": "A) High\nB) Medium\nC) Low"},
            "AesI_data": {"Question": "Describe its beauty."},
        }
        for name in pictures
    }
    table = json.dumps(questions, ensure_ascii=False).encode()
    return {"AesBench_evaluation.json": table, **{f"images/{name}": data for name, data in pictures.items()}}


def encrypt_zipcrypto(path: Path, members: dict[str, bytes], password: bytes) -> Path:
    """Writes an archive with the old encryption, which the standard library reads but does not write."""
    write_zip(path, members, zipfile.ZIP_STORED)
    plain = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    local, central = b"", b""
    for info in infos:
        head = info.header_offset
        name_length, extra_length = struct.unpack("<HH", plain[head + 26 : head + 30])
        start = head + 30 + name_length + extra_length
        data = _zipcrypto(plain[start : start + info.file_size], password, info.CRC)
        name = plain[head + 30 : head + 30 + name_length]
        flags = info.flag_bits | 1
        fields = (flags, 0, 0, 0x21, info.CRC, len(data), info.file_size, name_length, 0)
        central += struct.pack("<IHH", 0x02014B50, 20, 20) + struct.pack("<HHHHIIIHH", *fields)
        central += struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, len(local)) + name
        local += struct.pack("<IH", 0x04034B50, 20) + struct.pack("<HHHHIIIHH", *fields) + name + data
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(infos), len(infos), len(central), len(local), 0)
    path.write_bytes(local + central + end)
    return path


def _zipcrypto(data: bytes, password: bytes, crc: int) -> bytes:
    """Traditional PKWARE encryption (APPNOTE 6.1), written from its description."""
    table = [_crc_step(value) for value in range(256)]
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

    for byte in password:
        update(byte)
    packed = bytearray()
    for byte in bytes(11) + bytes([crc >> 24]) + data:
        mixed = keys[2] | 2
        packed.append(byte ^ (((mixed * (mixed ^ 1)) >> 8) & 0xFF))
        update(byte)
    return bytes(packed)


def _crc_step(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    return value


def patched(change: Callable[[bytearray, zipfile.ZipInfo, int], None]) -> Callable[[Path, str], None]:
    """Makes a way to spoil an archive: `change` gets its bytes, a member and where its entry of the index begins."""

    def spoil(path: Path, member: str) -> None:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(member)
        content = bytearray(path.read_bytes())
        entry = content.rindex(b"PK\x01\x02", 0, content.rindex(member.encode()))
        change(content, info, entry)
        path.write_bytes(content)

    return spoil


def rename(new: bytes, utf8: bool = False) -> Callable[[Path, str], None]:
    """Gives a member a name of the same length, in both places."""

    def change(content: bytearray, info: zipfile.ZipInfo, entry: int) -> None:
        assert len(new) == len(info.filename)
        content[info.header_offset + 30 : info.header_offset + 30 + len(new)] = new
        content[entry + 46 : entry + 46 + len(new)] = new
        flags = 0x800 if utf8 else 0
        content[info.header_offset + 6 : info.header_offset + 8] = struct.pack("<H", flags)
        content[entry + 8 : entry + 10] = struct.pack("<H", flags)

    return patched(change)


def claim_size(size: int) -> Callable[[Path, str], None]:
    """Makes the index claim another size for a member."""

    def change(content: bytearray, info: zipfile.ZipInfo, entry: int) -> None:
        content[entry + 24 : entry + 28] = struct.pack("<I", size)

    return patched(change)


def make_link() -> Callable[[Path, str], None]:
    """Makes a member a symbolic link."""

    def change(content: bytearray, info: zipfile.ZipInfo, entry: int) -> None:
        content[entry + 5] = 3  # made on Unix
        content[entry + 38 : entry + 42] = struct.pack("<I", (stat.S_IFLNK | 0o777) << 16)

    return patched(change)


def flip_byte() -> Callable[[Path, str], None]:
    """Damages the content of a member."""

    def change(content: bytearray, info: zipfile.ZipInfo, entry: int) -> None:
        content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF

    return patched(change)
