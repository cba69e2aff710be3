import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aesexpert.bench.errors import BenchError
from aesexpert.bench.pictures import open_picture


def saved(picture: Image.Image, folder: Path, name: str, **options: object) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def test_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "blue")
    picture.paste("red", (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    opened = open_picture(saved(picture, tmp_path, "turned.png", exif=exif), "turned")
    assert opened.size == (20, 40)
    assert opened.getpixel((10, 2)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("LA", (0, 128), (127, 127, 127)),
        ("I;16", 100 * 256, (100, 100, 100)),
    ],
)
def test_every_mode_becomes_rgb(
    tmp_path: Path, mode: str, colour: int | tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    name = "picture.jpg" if mode == "CMYK" else "picture.png"
    opened = open_picture(saved(Image.new(mode, (8, 8), colour), tmp_path, name), "picture")
    assert opened.mode == "RGB"
    assert np.allclose(np.asarray(opened)[4, 4], expected, atol=2)


def test_transparent_palette_shows_white(tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 0, 200, 0])
    picture.paste(0, (0, 0, 4, 8))
    opened = open_picture(saved(picture, tmp_path, "palette.png", transparency=0), "palette")
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((7, 7)) == (0, 200, 0)


def test_animation_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    file = saved(frames[0], tmp_path, "moving.gif", save_all=True, append_images=frames[1:])
    assert open_picture(file, "moving").getpixel((3, 3)) == (255, 0, 0)


def test_content_serves_as_well_as_a_file() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "png")
    assert open_picture(buffer.getvalue(), "in memory").size == (8, 8)


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    file = saved(noise, tmp_path, "cut.jpg")
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(BenchError, match=r"cut\.jpg: not a whole picture"):
        open_picture(file, str(file))
    with pytest.raises(BenchError, match="letter: not a whole picture"):
        open_picture(b"Dear all,", "letter")
    with pytest.raises(BenchError, match=r"nowhere\.png: the picture is missing"):
        open_picture(tmp_path / "nowhere.png", "nowhere.png")
