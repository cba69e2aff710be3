"""AesMMIT as it goes to the Hub: one set of Parquet files for all configurations, and the card that names them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from aesexpert.data.card import CARD, source_description, write_card
from aesexpert.data.examples import examples
from aesexpert.data.features import ALL_FEATURES
from aesexpert.data.folders import new_folder
from aesexpert.data.records import Picture, SourceFolder
from aesexpert.data.rows import write_csv
from aesexpert.data.source import SOURCES, source_row
from aesexpert.data.splits import by_split


SHARD_BYTES = 250_000_000
"""The size that a Parquet file stays below. Publishing holds one file in memory at a time."""

ROW_GROUP_BYTES, ROW_GROUP_ROWS = 50_000_000, 100
"""The size of the groups that rows are written in: a reader fetches a whole group to see one row."""

_DATA = "data"
_ENTRIES = {"README.md", SOURCES, _DATA}


def write_dataset(source: SourceFolder, out: str | Path, card_template: str | Path) -> Path:
    """Writes AesMMIT as Parquet with its card, ready for `load_dataset` and for the Hub.

    The folder holds `README.md`, `data/train-00000-of-00001.parquet` and so on, and `sources.csv` with the rows of the
    pictures in it, since authors and licences have to travel with them. Picture files are taken over byte for byte.
    The same source gives the same bytes. When writing fails nothing stays behind, and a data set that stands in `out`
    from before is replaced only by a complete one.

    Args:
        source (`SourceFolder`): What to write.
        out (`str` or `Path`): The folder to make, or one that this function made before.
        card_template (`str` or `Path`): The card's Jinja template.

    Returns:
        `Path`: `out`.

    Raises:
        `FileExistsError`: If `out` exists and is something else.
    """
    splits = by_split(source.pictures)
    with new_folder(out, _is_dataset) as folder:
        (folder / _DATA).mkdir()
        with tqdm(total=len(source.pictures), desc="Writing pictures", unit="picture", disable=None) as progress:
            for split, pictures in splits.items():
                _write_split(folder / _DATA, split, _encoded(source, pictures, progress))
        rows = [source_row(source.path, picture) for pictures in splits.values() for picture in pictures]
        (folder / SOURCES).write_text(write_csv(rows), encoding="utf-8", newline="")
        write_card(folder, card_template, source_description(source.path / CARD))
    return Path(out)


def _is_dataset(folder: Path) -> bool:
    entries = {entry.name for entry in folder.iterdir()}
    return entries == _ENTRIES and all(file.suffix == ".parquet" for file in (folder / _DATA).iterdir())


def _encoded(source: SourceFolder, pictures: list[Picture], progress: tqdm) -> Iterator[dict[str, Any]]:
    for example in examples(source, pictures):
        yield ALL_FEATURES.encode_example(example)
        progress.update()


def _write_split(folder: Path, split: str, rows: Iterable[dict[str, Any]]) -> None:
    """Writes the files of a split. Their names tell how many there are, so they get them at the end."""
    groups = _row_groups(rows)
    group = next(groups, None)
    shards: list[Path] = []
    while group is not None:
        shards.append(folder / f"{split}-{len(shards):05}.parquet")
        size = 0
        with _writer(shards[-1]) as writer:
            while group is not None and (not size or size + group.nbytes <= SHARD_BYTES):
                writer.write_table(group)
                size += group.nbytes
                group = next(groups, None)
    for number, shard in enumerate(shards):
        shard.rename(folder / f"{split}-{number:05}-of-{len(shards):05}.parquet")


def _writer(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        ALL_FEATURES.arrow_schema,
        use_dictionary=False,  # no two pictures are equal
        use_content_defined_chunking=True,  # so that a new version uploads only what changed
        write_page_index=True,
    )


def _row_groups(rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        row_size = len(row["image"]["bytes"])
        if group and (len(group) == ROW_GROUP_ROWS or size + row_size > ROW_GROUP_BYTES):
            yield pa.Table.from_pylist(group, ALL_FEATURES.arrow_schema)
            group, size = [], 0
        group.append(row)
        size += row_size
    if group:
        yield pa.Table.from_pylist(group, ALL_FEATURES.arrow_schema)
