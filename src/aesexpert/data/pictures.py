"""Whether a file is a whole picture, told without decoding its pixels."""

import struct
import warnings
from io import SEEK_END
from typing import BinaryIO

from PIL import Image


FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""The formats taken. Pillow opens more, some of them through external programs."""

MAX_PIXELS = 178_956_970
"""The largest picture taken: beyond it Pillow refuses to decode, and so does everything that loads the data."""


class PictureError(ValueError):
    """A file that cannot serve as a picture.

    Args:
        found (`str`): What the file is instead.
        expected (`str`): What would be right.
        remedy (`str`): What to do about it.
    """

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{found}, expected {expected}; {remedy}")
        self.found, self.expected, self.remedy = found, expected, remedy


def check_picture(file: BinaryIO) -> None:
    """Checks that a file holds a whole picture of one of the `FORMATS`, whatever its name ends in.

    Only the header and the last bytes are read: a JPEG, PNG, GIF or WebP file tells by them whether its end is
    missing. A file without its end marker (some cameras append data of their own) or of another format is decoded.
    Of an animated picture the first frame counts, as everywhere where Pillow decodes.

    Args:
        file (`BinaryIO`): The file, open for reading; it can be an `io.BytesIO`.

    Raises:
        `PictureError`: If it is no picture, has too many pixels, or is cut short.
    """
    if _is_short_webp(file):
        raise _truncated()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(file, formats=FORMATS)
        except Image.DecompressionBombError:
            raise _too_large() from None
        except Exception as error:  # Pillow's plug-ins raise almost anything on files that are not theirs
            raise _not_a_picture() from error
        if picture.width * picture.height > MAX_PIXELS:
            raise _too_large()
        if not _has_end(file, picture.format or ""):
            _decode(picture)


def _is_short_webp(file: BinaryIO) -> bool:
    """Compares the length that a WebP file gives with its own: Pillow cannot even open a shorter one."""
    header = file.read(12)
    size = file.seek(0, SEEK_END)
    file.seek(0)
    return header[:4] == b"RIFF" and header[8:] == b"WEBP" and struct.unpack("<I", header[4:8])[0] + 8 > size


def _has_end(file: BinaryIO, picture_format: str) -> bool:
    if picture_format == "WEBP":
        return True  # its length was compared before it was opened
    marker = _END_MARKERS.get(picture_format)
    if marker is None or file.seek(0, SEEK_END) < len(marker):
        return False
    file.seek(-len(marker), SEEK_END)
    return file.read() == marker


_END_MARKERS = {
    "JPEG": b"\xff\xd9",
    "MPO": b"\xff\xd9",
    "PNG": b"\0\0\0\0IEND\xae\x42\x60\x82",
    "GIF": b"\0;",
}


def _decode(picture: Image.Image) -> None:
    try:
        picture.load()
    except Exception as error:  # the same variety as on opening
        raise _truncated() from error


def _truncated() -> PictureError:
    return PictureError("a truncated or damaged picture", "a whole one", "copy the file again")


def _too_large() -> PictureError:
    return PictureError("a picture of too many pixels", f"at most {MAX_PIXELS:,}", "scale it down")


def _not_a_picture() -> PictureError:
    known = ", ".join(FORMATS)
    return PictureError("not a picture", f"a file of one of the formats {known}", "replace the file or remove the row")
