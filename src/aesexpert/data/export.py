"""AesMMIT as LLaVA-style JSON, for people who stay with the trainers of the original models."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from datasets import Image, load_dataset
from tqdm import tqdm

from aesexpert.data.examples import examples
from aesexpert.data.folders import new_folder
from aesexpert.data.source import IMAGES, read_source
from aesexpert.data.splits import by_split


_PLACEHOLDER = "<image>"


def export_llava(data: str | Path, out: str | Path) -> dict[str, int]:
    """Writes LLaVA-style JSON, one file a split, with the pictures byte for byte beside it.

    Each instruction is a row of `id`, `image`, `type` and `conversations`: what the human asks, `<image>` first, and
    what the model answers.

    Args:
        data (`str` or `Path`): A built data set (folder or Hub id), or a source folder.
        out (`str` or `Path`): The folder to make; one that is not empty is not replaced.

    Returns:
        `dict[str, int]`: Instructions by split.

    Raises:
        `SourceError`: If the source folder is wrong.
        `FileExistsError`: If `out` is there.
    """
    counts = {}
    with new_folder(out, lambda _: False) as folder:
        (folder / IMAGES).mkdir()
        for split, rows in _splits(data).items():
            counts[split] = _write_split(folder, split, rows)
    return counts


def _splits(data: str | Path) -> dict[str, Iterable[dict[str, Any]]]:
    if (Path(data) / "sources.csv").is_file() and not any(Path(data).glob("data/*.parquet")):
        source = read_source(data)
        return {split: examples(source, pictures) for split, pictures in by_split(source.pictures).items() if pictures}
    loaded = load_dataset(str(data), "instructions")
    return {split: _with_kinds(rows.cast_column("image", Image(decode=False))) for split, rows in loaded.items()}


def _with_kinds(rows: Any) -> Iterator[dict[str, Any]]:
    kind_name = rows.features["instructions"].feature["kind"].int2str
    for row in rows:
        instructions = [instruction | {"kind": kind_name(instruction["kind"])} for instruction in row["instructions"]]
        yield row | {"instructions": instructions}


def _write_split(folder: Path, split: str, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with open(folder / f"{split}.json", "w", encoding="utf-8") as file:
        file.write("[")
        for row in tqdm(rows, desc=f"Exporting {split}", unit="picture", disable=None):
            name = row["image_id"] + Path(row["image"]["path"]).suffix.lower()
            (folder / IMAGES / name).write_bytes(row["image"]["bytes"])
            for number, instruction in enumerate(row["instructions"]):
                file.write(",\n " if count else "\n ")
                file.write(json.dumps(_row(f"{row['image_id']}_{number}", name, instruction), ensure_ascii=False))
                count += 1
        file.write("\n]\n")
    return count


def _row(row_id: str, image: str, instruction: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row_id,
        "image": image,
        "type": instruction["kind"],
        "conversations": [
            {"from": "human", "value": f"{_PLACEHOLDER}\n{instruction['prompt']}"},
            {"from": "gpt", "value": instruction["response"]},
        ],
    }
