"""A `datasets` builder for source folders: AesMMIT without writing its Parquet files first."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets

from aesexpert.data.examples import examples
from aesexpert.data.features import CONFIGS, FEATURES
from aesexpert.data.records import Picture, SourceFolder
from aesexpert.data.source import FEEDBACK, IMAGES, SOURCES, VQA, read_source
from aesexpert.data.splits import by_split


@dataclass
class AesMMITConfig(datasets.BuilderConfig):
    """Which columns of AesMMIT to build, and from what.

    Args:
        fingerprint (`str`, *optional*, defaults to `""`):
            Tells source folders of different content apart. The builder fills it in: its cache goes by the
            configuration, and would otherwise not see that files have changed.
    """

    fingerprint: str = ""


class AesMMIT(datasets.GeneratorBasedBuilder):
    """Builds AesMMIT from a source folder.

    Args:
        config_name (`str`, *optional*, defaults to `"instructions"`): `"instructions"`, `"feedback"` or `"vqa"`.
        data_dir (`str` or `Path`): The source folder.
        kwargs: What `datasets.GeneratorBasedBuilder` takes, such as `cache_dir`.

    Example:

    ```python
    >>> from aesexpert import AesMMIT
    >>> builder = AesMMIT("feedback", data_dir="dataset_scripts/demo")
    >>> builder.download_and_prepare()
    >>> builder.as_dataset("train")[0]["feedbacks"][0]["critique"]
    'A superb animal portrait: the rich russet coat and alert face hold the eye at once, ...'
    ```
    """

    BUILDER_CONFIG_CLASS = AesMMITConfig
    BUILDER_CONFIGS = [AesMMITConfig(name=config) for config in CONFIGS]
    DEFAULT_CONFIG_NAME = CONFIGS[0]

    def __init__(self, config_name: str | None = None, *, data_dir: str | Path, **kwargs: Any) -> None:
        folder = Path(data_dir)
        super().__init__(
            config_name=config_name or self.DEFAULT_CONFIG_NAME,
            data_dir=str(folder),
            fingerprint=_fingerprint(folder),
            dataset_name="aesmmit",
            **kwargs,
        )

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES[self.config.name])

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        source = read_source(self.config.data_dir)
        return [
            datasets.SplitGenerator(name=split.value, gen_kwargs={"source": source, "pictures": pictures})
            for split, pictures in by_split(source.pictures).items()
        ]

    def _generate_examples(
        self, source: SourceFolder, pictures: list[Picture]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        columns = FEATURES[self.config.name]
        for example in examples(source, pictures):
            yield example["image_id"], {name: example[name] for name in columns}


def _fingerprint(folder: Path) -> str:
    """Digests the content of the tables, and name, size and time of the pictures, which are too many to read twice."""
    digest = sha256()
    for name in (SOURCES, FEEDBACK, VQA):
        path = folder / name
        content = sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        digest.update(repr((name, content)).encode())
    for path in sorted((folder / IMAGES).rglob("*")):
        stat = path.stat()
        digest.update(repr((str(path), stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()
