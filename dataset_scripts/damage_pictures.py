"""Adds pictures damaged in known ways to a source folder, with the questions whose answers are known by that.

    python dataset_scripts/damage_pictures.py dataset_scripts/demo build/damaged --bench-out aesbench-data

Every undamaged picture gets seven copies, one for each kind of damage, of a strength drawn at random. Questions about
flaw, sharpness, exposure and quality of all eight go to `vqa.jsonl`; for test pictures the flaw question goes to
`flaws.jsonl` instead, in the form of `bench.jsonl`. The same seed gives the same bytes.
"""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from tqdm import tqdm

from aesexpert.data import Picture, SourceError, SourceFolder, read_source
from aesexpert.data.folders import new_folder
from aesexpert.data.rows import write_csv
from aesexpert.data.source import source_row
from aesexpert.taxonomy import AnswerFormat, Dimension, PerceptionDimension, QuestionType, Split


FLAW = "What is the main technical flaw of this picture?"
FLAW_WORDINGS = (
    FLAW,
    "Which technical flaw harms this picture most?",
    "Name the technical flaw of this picture.",
    "What went wrong when this picture was taken?",
)
LOOK = "What does a close look at this picture show?"
SHARPNESS = "Is this picture sharp?"
EXPOSURE = "How is the exposure of this picture?"
QUALITY = "How is the technical quality of this picture?"

SHARP, NOT_SHARP = "Yes", "No"
TOO_DARK, TOO_BRIGHT, WELL_EXPOSED = "Too dark", "Too bright", "Well exposed"
HIGH, LOW = "High", "Low"
NO_FLAW = "No flaw"
NO_LOOK = "Nothing technical disturbs"

NOTE = "damaged on purpose"
ABOUT = """
## Damaged copies

{count:,} more pictures are copies damaged on purpose by a program: each undamaged picture once blurred, noisy, too
dark, too bright, compressed, of low resolution and flat in contrast. The column `degradation` of `sources.csv` names
kind and strength, `original` the undamaged picture. The questions about the flaw, sharpness, exposure and technical
quality of these pictures and of the undamaged ones were written by the same program, and their answers follow from the
damage alone: nobody looked at the pictures for them. A copy stays under the licence of its original.
"""

ADDED_COLUMNS = ("degradation", "original", "width", "height", "sha256", "note")
FILES = {"README.md", "images", "sources.csv", "feedback.jsonl", "vqa.jsonl", "bench.jsonl", "flaws.jsonl"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script and returns its exit status."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves through the clean-up of what was begun
    try:
        with new_folder(options.out, _is_ours) as folder:
            write_damaged(read_source(options.source), folder, options.seed)
        if options.bench_out:
            with new_folder(options.bench_out, _is_ours) as folder:
                write_bench(read_source(options.out), folder)
    except (SourceError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for folder in filter(None, (options.out, options.bench_out)):
        print(f"{folder}: {sum(1 for path in (folder / 'images').rglob('*') if path.is_file()):,} pictures")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the source folder")
    parser.add_argument("out", type=Path, help="the source folder to make; one made before is replaced")
    parser.add_argument("--bench-out", type=Path, help="also make a folder of the test pictures and their questions")
    parser.add_argument("--seed", type=int, default=0, help="what strengths and noise are drawn from (default: 0)")
    return parser.parse_args(arguments)


def _is_ours(folder: Path) -> bool:
    entries = {entry.name for entry in folder.iterdir()}
    return "flaws.jsonl" in entries and entries <= FILES


def _blur(picture: Image.Image, radius: float, seed: int) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def _add_noise(picture: Image.Image, deviation: float, seed: int) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float64)
    noisy = pixels + np.random.default_rng(seed).normal(0, deviation, pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def _expose(picture: Image.Image, stops: float, seed: int) -> Image.Image:
    """Multiplies linear light, as a longer or shorter exposure does."""
    curve = [round(min(255.0, 255 * ((value / 255) ** 2.2 * 2**stops) ** (1 / 2.2))) for value in range(256)]
    return picture.point(curve * 3)


def _compress(picture: Image.Image, quality: float, seed: int) -> Image.Image:
    """Nothing to do here: saving does it."""
    return picture


def _lower_resolution(picture: Image.Image, factor: float, seed: int) -> Image.Image:
    size = (max(1, round(picture.width / factor)), max(1, round(picture.height / factor)))
    return picture.resize(size, Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)


def _flatten(picture: Image.Image, factor: float, seed: int) -> Image.Image:
    return ImageEnhance.Contrast(picture).enhance(factor)


@dataclass(frozen=True)
class Damage:
    """A kind of damage: its name and its look as answers, its strengths, and what it does to sharpness and exposure.

    The weakest strength can be seen at a shortest side of 224 px, the strongest leaves the picture recognisable.
    """

    flaw: str
    look: str
    strengths: tuple[float, float]
    decimals: int
    apply: Callable[[Image.Image, float, int], Image.Image]
    sharpness: str = SHARP
    exposure: str = WELL_EXPOSED


JPEG = "jpeg"

DAMAGES = {
    "gaussian-blur": Damage("Blur", "Fine detail is softened", (2.5, 7), 1, _blur, sharpness=NOT_SHARP),
    "gaussian-noise": Damage("Noise", "Coloured specks cover it", (30, 60), 0, _add_noise),
    "underexposed": Damage("Too dark", "Shadows swallow the detail", (-3.5, -2), 1, _expose, exposure=TOO_DARK),
    "overexposed": Damage("Too bright", "Highlights are bleached white", (1.5, 2.5), 1, _expose, exposure=TOO_BRIGHT),
    JPEG: Damage("Compression blocks", "Square blocks break it", (3, 8), 0, _compress),
    "low-resolution": Damage(
        "Low resolution", "Its pixels look coarse", (5, 9), 0, _lower_resolution, sharpness=NOT_SHARP
    ),
    "low-contrast": Damage("Flat contrast", "Its tones are greyish", (0.2, 0.4), 2, _flatten),
}


def write_damaged(source: SourceFolder, folder: Path, seed: int) -> None:
    """Writes a source folder with everything of another, and the damaged copies and their questions."""
    _refuse_clashes(source)
    rows, copies, questions, flaws = [], [], [], []
    for picture in tqdm(source.pictures, desc="Damaging pictures", unit="picture", disable=None):
        row = source_row(source.path, picture)
        row |= {column: "" for column in ADDED_COLUMNS if column not in row}
        _copy(picture.path, folder / "images" / row["file"])
        rows.append(row)
        if picture.is_damaged:
            continue
        row["degradation"] = "none"
        copies += [_write_copy(picture, row, kind, folder / "images", seed) for kind in DAMAGES]
        for image_id, damage in _variants(picture):
            if picture.split is Split.TEST:
                flaws.append(_flaw_record(image_id, damage))
            else:
                questions += _questions(image_id, damage, picture.image_id)
    (folder / "sources.csv").write_text(write_csv(rows + copies), encoding="utf-8", newline="")
    for name in ("README.md", "feedback.jsonl", "vqa.jsonl", "bench.jsonl"):
        if (source.path / name).is_file():
            shutil.copyfile(source.path / name, folder / name)
    _append(folder / "README.md", ABOUT.format(count=len(copies)))
    _append(folder / "vqa.jsonl", _json_lines(questions))
    _append(folder / "flaws.jsonl", _json_lines(flaws))


def write_bench(source: SourceFolder, folder: Path) -> None:
    """Writes the test pictures of a source folder and what the benchmark asks about them."""
    pictures = [picture for picture in source.pictures if picture.split is Split.TEST]
    for picture in pictures:
        _copy(picture.path, folder / picture.path.relative_to(source.path))
    rows = [source_row(source.path, picture) for picture in pictures]
    (folder / "sources.csv").write_text(write_csv(rows), encoding="utf-8", newline="")
    for name in ("bench.jsonl", "flaws.jsonl"):
        if (source.path / name).is_file():
            shutil.copyfile(source.path / name, folder / name)


def _copy_id(picture: Picture, kind: str) -> str:
    return f"{picture.image_id}_{kind}"


def _variants(picture: Picture) -> Iterator[tuple[str, Damage | None]]:
    yield picture.image_id, None
    for kind, damage in DAMAGES.items():
        yield _copy_id(picture, kind), damage


def _refuse_clashes(source: SourceFolder) -> None:
    names = {picture.image_id for picture in source.pictures} | {picture.path.stem for picture in source.pictures}
    undamaged = [picture for picture in source.pictures if not picture.is_damaged]
    clashes = [
        image_id for picture in undamaged for image_id, damage in _variants(picture) if damage and image_id in names
    ]
    if clashes:
        raise FileExistsError(
            f"{source.path} has pictures of the names that copies would get: {', '.join(clashes[:5])}"
        )


def _write_copy(picture: Picture, row: dict[str, str], kind: str, images: Path, seed: int) -> dict[str, str]:
    """Writes a damaged copy and returns its row of `sources.csv`."""
    damage = DAMAGES[kind]
    random = Random(f"{seed}/{picture.image_id}/{kind}")
    strength = round(random.uniform(*damage.strengths), damage.decimals)
    with Image.open(picture.path) as opened:
        damaged = damage.apply(ImageOps.exif_transpose(opened).convert("RGB"), strength, random.getrandbits(64))
    image_id = _copy_id(picture, kind)
    path = images / f"{image_id}.jpg"
    if kind == JPEG:
        damaged.save(path, quality=int(strength))
    else:
        damaged.save(path, quality=95, subsampling="4:4:4")
    return row | {
        "image_id": image_id,
        "file": path.name,
        "degradation": f"{kind}:{strength:g}",
        "original": picture.original,
        "width": str(damaged.width),
        "height": str(damaged.height),
        "sha256": sha256(path.read_bytes()).hexdigest(),
        "note": "; ".join(filter(None, (row["note"], NOTE))),
    }


def _questions(image_id: str, damage: Damage | None, original: str) -> list[dict[str, Any]]:
    """What is known of a picture because of what was done to it: the flaw with options, and one question more.

    That is what the flaw looks like, in statements whose letter is the answer, the flaw in another wording, or another
    question. All versions of an original are asked the same, so that they can be compared.
    """
    random = Random(original)
    flaw = damage.flaw if damage else NO_FLAW
    look = damage.look if damage else NO_LOOK
    looks = [*(each.look for each in DAMAGES.values()), NO_LOOK]
    shuffled = random.sample(looks, len(looks))
    sharpness, exposure = (damage.sharpness, damage.exposure) if damage else (SHARP, WELL_EXPOSED)
    further = [
        _question(image_id, random.choice(FLAW_WORDINGS), flaw, QuestionType.WHAT),
        random.choice(
            [
                _question(image_id, SHARPNESS, sharpness, QuestionType.YES_NO, (SHARP, NOT_SHARP)),
                _question(image_id, EXPOSURE, exposure, QuestionType.HOW, (TOO_DARK, TOO_BRIGHT, WELL_EXPOSED)),
                _question(image_id, QUALITY, LOW if damage else HIGH, QuestionType.HOW, (HIGH, LOW)),
            ]
        ),
    ]
    return [
        _question(image_id, FLAW, flaw, QuestionType.WHAT, _flaws()),
        random.choice([_question(image_id, LOOK, look, QuestionType.WHAT, shuffled), random.choice(further)]),
    ]


def _question(
    image_id: str, question: str, answer: str, question_type: QuestionType, options: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "question": question,
        "answer": answer,
        "options": list(options),
        "question_type": question_type,
        "dimension": Dimension.QUALITY,
        "format": AnswerFormat.MULTIPLE_CHOICE if options else AnswerFormat.OPEN_ENDED,
    }


def _flaw_record(image_id: str, damage: Damage | None) -> dict[str, Any]:
    perception = {
        "question": FLAW,
        "options": _flaws(),
        "answer": damage.flaw if damage else NO_FLAW,
        "dimension": PerceptionDimension.TECHNICAL_QUALITY,
        "question_type": QuestionType.WHAT,
    }
    return {"image_id": image_id, "perception": perception}


def _flaws() -> list[str]:
    """All answers, always in one order: the answers of the pictures are balanced, so that position tells nothing."""
    return [*(damage.flaw for damage in DAMAGES.values()), NO_FLAW]


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def _json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
