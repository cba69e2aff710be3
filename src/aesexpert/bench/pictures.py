"""Opening pictures as a model should see them: upright, in RGB, whole."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from aesexpert.bench.errors import BenchError


def open_picture(source: Path | bytes, name: str) -> Image.Image:
    """Opens a picture, turned as its EXIF orientation says, in RGB; of an animation the first frame.

    Transparent parts show white, as on a page.

    Args:
        source (`Path` or `bytes`): The picture's file, or its content.
        name (`str`): What to call the picture in an error.

    Returns:
        `PIL.Image.Image`: The picture in mode RGB.

    Raises:
        `BenchError`: If the file is missing, no picture, or cut short.
    """
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as picture:
            picture.load()
            return to_rgb(ImageOps.exif_transpose(picture))
    except FileNotFoundError as error:
        raise BenchError(f"{name}: the picture is missing") from error
    except Exception as error:  # Pillow's plug-ins raise almost anything on damaged files
        raise BenchError(f"{name}: not a whole picture ({error})") from error


def to_rgb(picture: Image.Image) -> Image.Image:
    """Converts a picture of any mode to RGB.

    Args:
        picture (`PIL.Image.Image`): The picture.

    Returns:
        `PIL.Image.Image`: The same in RGB, on white where it was transparent.
    """
    if picture.mode.startswith("I"):
        # Pillow clips 16-bit grey values at 255, which makes nearly everything white
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        page = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(page, picture)
    return picture.convert("RGB")
