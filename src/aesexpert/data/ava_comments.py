"""AVA-Comments (Murray et al., CVPR 2012; section 5.4 of the paper): pictures and what people wrote about them."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from aesexpert.data.folders import new_folder
from aesexpert.data.problems import Problem, SourceError
from aesexpert.data.rows import write_csv
from aesexpert.data.source import FEEDBACK, IMAGES, SOURCES
from aesexpert.taxonomy import FeedbackPart, Source, SourceDataset, Split


QUESTION = "Describe the aesthetic experience of this image in detail."
"""What is asked for a comment: the comments answer no question of their own."""

ANNOTATOR = "not given"
_SUFFIXES = (".jpg", ".jpeg", ".png")
_COLUMNS = ("image_id", "comment")


def read_ava_comments(comments: str | Path, pictures: str | Path, out: str | Path) -> int:
    """Turns AVA-Comments into a source folder, which builds as any other.

    Args:
        comments (`str` or `Path`):
            A folder with a text file for each picture, named by its id, one comment a line; or a CSV file with the
            columns `image_id` and `comment`.
        pictures (`str` or `Path`): A folder with the pictures, named by their ids.
        out (`str` or `Path`): The source folder to make; one that is not empty is not replaced.

    Returns:
        `int`: How many pictures have comments.

    Raises:
        `SourceError`: If nothing can be read, or comments are of pictures that are not there.
    """
    comments, pictures, out = Path(comments), Path(pictures), Path(out)
    by_picture: dict[str, list[str]] = {}
    for image_id, comment in _read_comments(comments):
        text = " ".join(comment.split())
        if text and text not in by_picture.setdefault(image_id, []):
            by_picture[image_id].append(text)
    by_picture = {image_id: texts for image_id, texts in by_picture.items() if texts}
    if not by_picture:
        raise SourceError(comments, [Problem(comments.name, None, "comment", "none", "comments", "name their folder")])
    files = {path.stem: path for path in sorted(pictures.iterdir()) if path.suffix.lower() in _SUFFIXES}
    missing = [image_id for image_id in by_picture if image_id not in files]
    if missing:
        found = f"{missing[0]} and {len(missing) - 1} more" if len(missing) > 1 else missing[0]
        remedy = "download them, or take their comments out"
        raise SourceError(comments, [Problem(comments.name, None, "image_id", found, f"files in {pictures}", remedy)])
    with new_folder(out, lambda _: False) as folder:
        _write(folder, by_picture, files)
    return len(by_picture)


def _read_comments(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_dir():
        for file in sorted(path.glob("*.txt")):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                yield file.stem, line
        return
    with open(path, encoding="utf-8", newline="") as table:
        reader = csv.DictReader(table)
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ()) or "nothing"
            raise SourceError(
                path, [Problem(path.name, 1, "columns", found, " and ".join(_COLUMNS), "add the header")]
            )
        for row in reader:
            yield row["image_id"] or "", row["comment"] or ""


def _write(folder: Path, by_picture: dict[str, list[str]], files: dict[str, Path]) -> None:
    (folder / IMAGES).mkdir()
    rows = []
    with open(folder / FEEDBACK, "w", encoding="utf-8") as feedback:
        for image_id, texts in tqdm(by_picture.items(), desc="Copying pictures", unit="picture", disable=None):
            file = files[image_id]
            shutil.copyfile(file, folder / IMAGES / file.name)
            rows.append(
                {
                    "image_id": image_id,
                    "file": file.name,
                    "split": Split.TRAIN.value,
                    "source": Source.NI.value,
                    "dataset": SourceDataset.OTHER.value,
                    "scene": "",
                }
            )
            for text in texts:
                entry = {"image_id": image_id, "part": FeedbackPart.REASONS.value, "question": QUESTION}
                entry |= {"critique": text, "annotator": ANNOTATOR}
                feedback.write(json.dumps(entry, ensure_ascii=False) + "\n")
    (folder / SOURCES).write_text(write_csv(rows), encoding="utf-8", newline="")
