"""Asking a model all questions of AesBench, with an answer on disk as soon as it is given."""

from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from tqdm.auto import tqdm

from aesexpert._version import __version__
from aesexpert.bench.folder import Identity, append_answers, claim, cut_torn_line, read_answers
from aesexpert.bench.items import BenchItem, bench_file, data_fingerprint, data_name, to_items, to_reference
from aesexpert.bench.model import VisionLanguageModel, dtype_name, load_model, model_fingerprint
from aesexpert.bench.pictures import open_picture
from aesexpert.data.source import read_bench
from aesexpert.taxonomy import Task


MAX_NEW_TOKENS = {Task.PERCEPTION: 32, Task.EMPATHY: 32, Task.ASSESSMENT: 32, Task.INTERPRETATION: 256}
"""How many tokens an answer may have: an option, or a description."""


def run(
    model_id: str,
    data: str | Path,
    out: str | Path,
    *,
    control: str | None = None,
    tasks: Collection[Task] = tuple(Task),
    batch_size: int = 8,
) -> Path:
    """Asks a model the questions of AesBench (section 5.1 of the paper) and keeps its answers in a folder.

    A second run goes on where the first stopped, and asks further tasks if there are any.

    Args:
        model_id (`str`): A folder or Hub id of any image-text-to-text model.
        data (`str` or `Path`): A source folder with `bench.jsonl`, or a `.jsonl` file in such a folder.
        out (`str` or `Path`): The run folder, for `run.json`, `references.jsonl` and `answers.jsonl`.
        control (`str`, *optional*): `"swapped"` to show another picture with each picture's questions.
        tasks (`Collection[Task]`, *optional*): The tasks to ask, by default all.
        batch_size (`int`, *optional*, defaults to 8): How many questions are asked at a time.

    Returns:
        `Path`: The run folder.

    Raises:
        `BenchError`: If model, data or folder do not fit.
        `SourceError`: If the data is wrong.
    """
    file, out = bench_file(data), Path(out)
    records = read_bench(file)
    items = to_items(records, tasks, control)
    identity = Identity(
        model=model_id,
        model_fingerprint=model_fingerprint(model_id),
        data=data_name(file),
        data_fingerprint=data_fingerprint(file, records),
        control=control,
        settings={"dtype": dtype_name(), "max_new_tokens": {str(task): n for task, n in MAX_NEW_TOKENS.items()}},
        versions=library_versions(),
    )
    claim(out, identity, map(to_reference, records))
    cut_torn_line(out)
    answered = read_answers(out)
    pending = [item for item in items if item.key not in answered]
    if pending:
        _ask(load_model(model_id), pending, out, batch_size)
    return out


def library_versions() -> dict[str, str]:
    """The versions of what decides an answer."""
    return {"aesexpert": __version__, "torch": version("torch"), "transformers": version("transformers")}


def _ask(model: VisionLanguageModel, items: Sequence[BenchItem], out: Path, batch_size: int) -> None:
    with tqdm(total=len(items), desc="AesBench", unit="question", disable=None) as progress:
        for batch in batches(items, batch_size):
            pictures = [open_picture(item.picture, str(item.picture)) for item in batch]
            responses = model.answer([item.prompt for item in batch], pictures, MAX_NEW_TOKENS[batch[0].task])
            append_answers(out, (_answer_row(item, text) for item, text in zip(batch, responses, strict=True)))
            progress.update(len(batch))


def _answer_row(item: BenchItem, response: str) -> dict[str, str]:
    return {"image_id": item.image_id, "task": item.task.value, "prompt": item.prompt, "response": response}


def batches(items: Sequence[BenchItem], batch_size: int) -> Iterator[Sequence[BenchItem]]:
    """Groups questions of like length, and never short answers with long ones, so that little is padded.

    Args:
        items (`Sequence[BenchItem]`): The questions.
        batch_size (`int`): How many a group has at most.

    Yields:
        `Sequence[BenchItem]`: A group, the longest prompts first: if memory is short, it shows at once.
    """
    for limit in sorted(set(MAX_NEW_TOKENS.values())):
        group = [item for item in items if MAX_NEW_TOKENS[item.task] == limit]
        group.sort(key=lambda item: -len(item.prompt))
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]
