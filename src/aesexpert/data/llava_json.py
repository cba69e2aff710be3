"""LLaVA-style JSON in general, with its pictures in a folder, turned into a source folder."""

import shutil
from pathlib import Path

from tqdm import tqdm

from aesexpert.data.folders import new_folder
from aesexpert.data.released import find_pictures, inside_images, read_annotations, read_rows, write_tables
from aesexpert.data.source import IMAGES


def read_llava_json(file: str | Path, pictures: str | Path, out: str | Path) -> int:
    """Turns LLaVA-style JSON into a source folder, which builds as any other.

    A row is a critique if its `type` says so, or if it has neither `type` nor `qtype`; else it is a question. All
    pictures become training pictures.

    Args:
        file (`str` or `Path`): A list of rows with `image` and `conversations`, and perhaps `type` and `qtype`.
        pictures (`str` or `Path`): The folder of the pictures, found by their path or by the end of it.
        out (`str` or `Path`): The source folder to make; one that is not empty is not replaced.

    Returns:
        `int`: How many pictures it has.

    Raises:
        `ReleaseError`: If a row is wrong or a picture is missing.
        `FileExistsError`: If `out` is there.
    """
    file, pictures = Path(file), Path(pictures)
    annotations = read_annotations({file.name: read_rows(file.read_bytes(), file.name)})
    found = {path.relative_to(pictures).as_posix(): path for path in sorted(pictures.rglob("*")) if path.is_file()}
    files = find_pictures(annotations.pictures, found)
    with new_folder(out, lambda _: False) as folder:
        places = inside_images(list(files.values()))
        for path, place in tqdm(places.items(), desc="Copying pictures", unit="picture", disable=None):
            target = folder / IMAGES / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found[path], target)
        write_tables(folder, annotations, files)
    return len(files)
