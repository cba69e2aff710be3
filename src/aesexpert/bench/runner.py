"""Asking a model all questions of AesBench, with an answer on disk as soon as it is given."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from aesexpert._version import __version__
from aesexpert.bench.answering import Answer, choose_options, write_answers
from aesexpert.bench.folder import Identity, append_answers, claim, cut_torn_line, read_answers
from aesexpert.bench.items import BenchItem, bench_file, data_fingerprint, data_name, to_items, to_reference
from aesexpert.bench.model import VisionLanguageModel, dtype_name, load_model, model_fingerprint
from aesexpert.bench.pictures import open_picture
from aesexpert.bench.scoring import Scoring
from aesexpert.bench.sharing import PromptsClass, choose_prompts
from aesexpert.data.source import read_bench
from aesexpert.models.conversations import Conversation, ask_about
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
    scoring: Scoring | str = Scoring.GENERATE,
    batch_size: int = 4,
) -> Path:
    """Asks a model the questions of AesBench (section 5.1 of the paper) and keeps its answers in a folder.

    A second run goes on where the first stopped, and asks further tasks if there are any. A picture is read once for
    all of its questions, where the model allows it; the answers are those of one question at a time. The answer to a
    choice question ends with its first line.

    Args:
        model_id (`str`): A folder or Hub id of any image-text-to-text model.
        data (`str` or `Path`): A source folder with `bench.jsonl`, or a `.jsonl` file in such a folder.
        out (`str` or `Path`): The run folder, for `run.json`, `references.jsonl` and `answers.jsonl`.
        control (`str`, *optional*): `"swapped"` to show another picture with each picture's questions.
        tasks (`Collection[Task]`, *optional*): The tasks to ask, by default all.
        scoring (`Scoring` or `str`, *optional*, defaults to `"generate"`): `"generate"` to let the model write its
            choices, as in the paper, or `"logits"` to take the option whose letter is the likeliest next token; its
            probabilities then stand in `answers.jsonl`. Descriptions are written either way.
        batch_size (`int`, *optional*, defaults to 4): How many pictures are read at a time, with all
            of their questions.

    Returns:
        `Path`: The run folder.

    Raises:
        `BenchError`: If model, data or folder do not fit.
        `SourceError`: If the data is wrong.
    """
    file, out, scoring = bench_file(data), Path(out), Scoring(scoring)
    records = read_bench(file)
    items = to_items(records, tasks, control)
    identity = Identity(
        model=model_id,
        model_fingerprint=model_fingerprint(model_id),
        data=data_name(file),
        data_fingerprint=data_fingerprint(file, records),
        control=control,
        settings={
            "dtype": dtype_name(),
            "scoring": scoring.value,
            "choices_end": "first line",
            "max_new_tokens": {str(task): n for task, n in MAX_NEW_TOKENS.items()},
        },
        versions=library_versions(),
    )
    claim(out, identity, map(to_reference, records))
    cut_torn_line(out)
    answered = read_answers(out)
    pending = [item for item in items if item.key not in answered]
    if pending:
        _ask(load_model(model_id), pending, out, batch_size, scoring)
    return out


def library_versions() -> dict[str, str]:
    """The versions of what decides an answer."""
    return {"aesexpert": __version__, "torch": version("torch"), "transformers": version("transformers")}


def _ask(model: VisionLanguageModel, items: Sequence[BenchItem], out: Path, batch_size: int, scoring: Scoring) -> None:
    pictures = by_picture(items)
    make_prompts = choose_prompts(model, _questions(max(pictures, key=len)))
    with tqdm(total=len(items), desc="AesBench", unit="question", disable=None) as progress:
        for start in range(0, len(pictures), batch_size):
            for asked, answers in _answer(model, make_prompts, pictures[start : start + batch_size], scoring):
                append_answers(out, map(_answer_row, asked, answers))
                progress.update(len(asked))


def by_picture(items: Iterable[BenchItem]) -> list[list[BenchItem]]:
    """Groups questions by their pictures.

    Args:
        items (`Iterable[BenchItem]`): The questions.

    Returns:
        `list[list[BenchItem]]`: The questions of each picture. Pictures with prompts of like length come together, so
        that little is padded, the longest first: if memory is short, it shows at once.
    """
    ordered = sorted(items, key=lambda item: item.image_id)
    groups = [list(group) for _, group in groupby(ordered, key=lambda item: item.image_id)]
    return sorted(groups, key=lambda group: -max(len(item.prompt) for item in group))


def _questions(items: Sequence[BenchItem]) -> list[Conversation]:
    """The questions about one picture, as conversations."""
    picture = open_picture(items[0].picture, str(items[0].picture))
    return [ask_about(picture, item.prompt) for item in items]


def _answer(
    model: VisionLanguageModel, make_prompts: PromptsClass, pictures: Sequence[Sequence[BenchItem]], scoring: Scoring
) -> Iterator[tuple[Sequence[BenchItem], list[Answer]]]:
    """Answers the questions about some pictures: all choices at once, then all descriptions, which take longer."""
    conversations = [_questions(items) for items in pictures]
    prompts = make_prompts(model, conversations)
    questions = list(zip(chain(*pictures), chain(*conversations), strict=True))
    for is_choice in (True, False):
        places = [i for i, (item, _) in enumerate(questions) if bool(item.options) is is_choice]
        if not places:
            continue
        items, asked = zip(*(questions[i] for i in places), strict=True)
        inputs = prompts.inputs(places)
        if is_choice and scoring is Scoring.LOGITS:
            yield items, choose_options(model, inputs, asked, [item.options for item in items])
        else:
            limit = MAX_NEW_TOKENS[items[0].task]
            yield items, write_answers(model, inputs, limit, one_line=is_choice)


def _answer_row(item: BenchItem, answer: Answer) -> dict[str, Any]:
    row = {"image_id": item.image_id, "task": item.task.value, "prompt": item.prompt, "response": answer.response}
    return {**row, "probabilities": answer.probabilities} if answer.probabilities else row
