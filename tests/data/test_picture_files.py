import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from aesexpert.data.pictures import MAX_PIXELS, PictureError, check_picture


TELLING = ["JPEG", "PNG", "GIF", "WEBP"]
"""The formats whose end can be told without decoding."""


def encoded(picture_format: str, **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, picture_format, **options)
    return file.getvalue()


def check(data: bytes) -> None:
    check_picture(io.BytesIO(data))


def png_header(width: int, height: int) -> bytes:
    """A PNG with a header and an end, and nothing in between."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize("picture_format", [*TELLING, "BMP", "TIFF", "PPM", "AVIF"])
def test_whole_pictures_are_taken(picture_format: str):
    check(encoded(picture_format))


@pytest.mark.parametrize("picture_format", [*TELLING, "BMP", "TIFF", "PPM", "AVIF"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_truncated_pictures_are_refused(picture_format: str, kept: float):
    data = encoded(picture_format)
    with pytest.raises(PictureError):
        check(data[: int(len(data) * kept)])


@pytest.mark.parametrize("picture_format", TELLING)
def test_a_missing_end_is_noticed(picture_format: str):
    with pytest.raises(PictureError, match="truncated"):
        check(encoded(picture_format)[:-100])


@pytest.mark.parametrize("picture_format", TELLING)
def test_pixels_are_not_decoded(picture_format: str, monkeypatch: pytest.MonkeyPatch):
    data = encoded(picture_format)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    check(data)


@pytest.mark.parametrize("picture_format", TELLING)
def test_data_behind_the_end_is_no_fault(picture_format: str):
    check(encoded(picture_format) + b"what a camera appends")


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "PNG"])
def test_animated_pictures_are_taken(picture_format: str):
    other = Image.new("RGB", (64, 48), "red")
    check(encoded(picture_format, save_all=True, append_images=[other]))


def test_the_end_of_a_thumbnail_is_not_the_end():
    thumbnail = b"Exif\0\0" + encoded("JPEG", quality=10)[:60_000]
    data = encoded("JPEG")
    with_thumbnail = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    check(with_thumbnail)
    with pytest.raises(PictureError, match="truncated"):
        check(with_thumbnail[:-100])


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"<html></html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a", b"RIFF"]
)
def test_other_files_are_refused(data: bytes):
    with pytest.raises(PictureError, match="not a picture"):
        check(data)


def test_too_many_pixels():
    with pytest.raises(PictureError, match=f"too many pixels, expected at most {MAX_PIXELS:,}"):
        check(png_header(20_000, 20_000))


def test_the_limit_holds_where_the_process_has_lifted_pillows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(PictureError, match="too many pixels"):
        check(png_header(20_000, 20_000))


def test_large_pictures_are_taken_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(png_header(11_000, 11_000))


@given(st.sampled_from([*TELLING, "BMP", "TIFF"]), st.integers(0, 400), st.binary(max_size=8))
@settings(max_examples=80, deadline=None)
def test_nothing_else_is_raised(picture_format: str, place: int, damage: bytes):
    data = encoded(picture_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's on corrupt metadata
        for broken in (data[:place] + damage, data[:place] + damage + data[place + len(damage) :]):
            try:
                check(broken)
            except PictureError as error:
                assert "\n" not in str(error)
