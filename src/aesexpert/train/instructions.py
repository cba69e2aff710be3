"""AesMMIT's pictures as the rows that TRL trains on: one instruction a row, made when it is read."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from datasets import Dataset

from aesexpert.data.conversations import to_prompt_completion


logger = logging.getLogger(__name__)


def instruction_rows(
    pictures: Dataset, kinds: Sequence[str] | None = None, max_response_words: int | None = None
) -> Dataset:
    """
    Spread a split of AesMMIT over one row an instruction.

    Nothing is copied: the rows are numbers, and a picture is read and decoded when its row is.

    Args:
        pictures (`datasets.Dataset`): A split of the `instructions` configuration, one row a picture.
        kinds (`Sequence[str]`, *optional*): Keep instructions of these kinds alone.
        max_response_words (`int`, *optional*): Keep instructions with responses of so many words at most.

    Returns:
        `datasets.Dataset`: Rows of `picture` (row of `pictures`), `image` (`PIL.Image`), `prompt` and `completion`
        (lists of messages), for TRL. Below its format it has the columns `picture`, `instruction` (its number
        there), `question` (its prompt) and `original`.

    Raises:
        `ValueError`: If no instruction is left.
    """
    kind_name = pictures.features["instructions"].feature["kind"].int2str
    index = [
        (row, number, instruction["prompt"])
        for row, instructions in enumerate(pictures.select_columns("instructions"))
        for number, instruction in enumerate(instructions["instructions"])
        if (kinds is None or kind_name(instruction["kind"]) in kinds)
        and (max_response_words is None or len(instruction["response"].split()) <= max_response_words)
    ]
    if not index:
        raise ValueError(
            f"no instruction is left of {len(pictures)} pictures with `kinds` {kinds or 'all'} and "
            f"`max_response_words` {max_response_words or 'any'}"
        )
    left_out = len(pictures) - len({row for row, *_ in index})
    if left_out:
        logger.warning("%d of %d pictures have no instruction to train on", left_out, len(pictures))
    originals = pictures["original"][:]  # a list: a column reads its file anew for every entry
    picture, number, prompt = map(list, zip(*index, strict=True))
    original = [originals[row] for row in picture]
    rows = Dataset.from_dict({"picture": picture, "instruction": number, "question": prompt, "original": original})
    return rows.with_transform(partial(_read, pictures=pictures))


def _read(rows: dict[str, list[int]], pictures: Dataset) -> dict[str, list[Any]]:
    batch: dict[str, list[Any]] = {"picture": rows["picture"], "image": [], "prompt": [], "completion": []}
    read = {row: pictures[row] for row in set(rows["picture"])}  # each picture is decoded once a batch
    for row, number in zip(rows["picture"], rows["instruction"], strict=True):
        picture = read[row]
        conversation = to_prompt_completion(picture["instructions"][number])
        batch["image"].append(picture["image"])
        batch["prompt"].append(conversation["prompt"])
        batch["completion"].append(conversation["completion"])
    return batch
