"""AesMMIT as it is published: the Parquet files, `sources.csv`, and a card with the counts of these very files."""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard

from aesexpert.data.card import dataset_card, fingerprint, origin_in_card, read_facts
from aesexpert.data.features import ALL_FEATURES
from aesexpert.data.source import SOURCES
from aesexpert.hub.errors import HubError
from aesexpert.hub.local_paths import refuse_local_paths
from aesexpert.hub.publication import CARD, Publication
from aesexpert.hub.templates import DATASET_CARD


_SHARD = re.compile(r"(?P<split>\w+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.parquet")


def dataset_publication(
    folder: str | Path,
    *,
    licence: str,
    data_sources: Sequence[str],
    card_template: str | Path = DATASET_CARD,
) -> Publication:
    """Prepares a data set for the Hub and checks it.

    Args:
        folder (`str` or `Path`): A folder that `write_dataset` wrote.
        licence (`str`): The licence's name on the Hub; `"other"` for each picture's own, named in `sources.csv`.
        data_sources (`Sequence[str]`): Where pictures and texts come from, one source each.
        card_template (`str` or `Path`, *optional*): The card's Jinja template.

    Returns:
        `Publication`: What `publish` uploads.

    Raises:
        `HubError`: If the folder is no whole data set, or licence or sources are empty.
        `CardError`: If the template asks for a value that is not there.
    """
    folder = Path(folder)
    if not licence.strip() or not data_sources or not all(map(str.strip, data_sources)):
        raise HubError("a data set is published with its licence and its data sources; name both")
    shards = _shards(folder)
    refuse_local_paths(folder / SOURCES)
    facts, about = read_facts(folder), origin_in_card(folder / CARD)

    def make_card(digests: Sequence[bytes]) -> DatasetCard:
        return dataset_card(
            facts,
            card_template,
            fingerprint=fingerprint(digests[: len(shards)]),
            about=about,
            licence=licence,
            data_sources=data_sources,
        )

    make_card(())
    files = {f"data/{shard.name}": shard for shard in shards}
    return Publication("dataset", {**files, SOURCES: folder / SOURCES}, make_card, owns=("data/*.parquet",))


def _shards(folder: Path) -> list[Path]:
    """The Parquet files, none of them missing, each with the columns of AesMMIT."""
    shards = sorted(folder.glob("data/*.parquet"))
    if not shards or not (folder / SOURCES).is_file():
        raise HubError(
            f"{folder} is no data set; expected data/*.parquet and {SOURCES}, as `write_dataset` writes them"
        )
    counts: dict[str, int] = {}
    names = {shard.name for shard in shards}
    for shard in shards:
        match = _SHARD.fullmatch(shard.name)
        if match is None:
            raise HubError(
                f"{shard} has a name that `write_dataset` never gives; remove it or build the data set again"
            )
        counts[match["split"]] = int(match["count"])
        _check_columns(shard)
    for split, count in counts.items():
        expected = {f"{split}-{number:05}-of-{count:05}.parquet" for number in range(count)}
        found = {name for name in names if name.startswith(f"{split}-")}
        if found != expected:
            odd = sorted(found ^ expected)[0]
            raise HubError(f"{folder}/data is incomplete or mixed ({odd}); build the data set again")
    return shards


def _check_columns(shard: Path) -> None:
    try:
        schema = pq.read_schema(shard)
    except (pa.ArrowInvalid, OSError) as error:
        raise HubError(f"{shard} is damaged ({error}); build the data set again") from error
    if not schema.equals(ALL_FEATURES.arrow_schema):
        raise HubError(f"{shard} has other columns than AesMMIT; build the data set again with this version")
