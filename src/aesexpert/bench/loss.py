"""How well a model predicts the responses of AesMMIT: the mean loss a token, which moves long before accuracy does."""

import hashlib
import inspect
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Image, IterableDataset, load_dataset
from PIL.Image import Image as Picture
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from aesexpert.bench.control import SEED, check_control, swap_pictures
from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import LOSS, RUN, Identity, read_json, write_json
from aesexpert.bench.model import VisionLanguageModel, check_hub_id, dtype_name, load_model, model_fingerprint
from aesexpert.bench.pictures import open_picture
from aesexpert.bench.runner import library_versions
from aesexpert.data.conversations import Instruction, to_prompt_completion
from aesexpert.models.conversations import response_tokens


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture of AesMMIT with its instructions.

    Args:
        image_id (`str`): Its name.
        original (`str`): The picture that it was made from, if it is a damaged copy, or its own name.
        content (`bytes`): Its file.
        instructions (`Sequence[Instruction]`): What is asked and answered about it.
    """

    image_id: str
    original: str
    content: bytes
    instructions: Sequence[Instruction]


@dataclass(frozen=True)
class LossItem:
    """One response to predict.

    Args:
        shown (`AnnotatedPicture`): The picture that the model sees: the instruction's own, or the control's.
        instruction (`Instruction`): `prompt`, `response` and `kind`.
    """

    shown: AnnotatedPicture
    instruction: Instruction


def response_loss(
    model_id: str,
    data: str | Path,
    out: str | Path,
    *,
    split: str = "validation",
    control: str | None = None,
    limit: int | None = None,
    batch_size: int = 8,
) -> dict[str, Any]:
    """Measures the negative log-likelihood of the responses of AesMMIT, given pictures and prompts.

    All that the chat template writes after the prompt counts as response, its end marker included, as in training on
    prompts and completions.

    Args:
        model_id (`str`): A folder or Hub id of any image-text-to-text model.
        data (`str` or `Path`): What `load_dataset` reads with the configuration `instructions`.
        out (`str` or `Path`): The folder for `loss.json`; it can be the model's run folder.
        split (`str`, *optional*, defaults to `"validation"`): The part of the data.
        control (`str`, *optional*): `"swapped"` to show another picture with each picture's instructions.
        limit (`int`, *optional*): How many instructions of a picture count, drawn at random; by default all.
        batch_size (`int`, *optional*, defaults to 8): How many responses are predicted at a time.

    Returns:
        `dict[str, Any]`: What `loss.json` holds: `run`, the identity; `overall` and, by kind of instruction, `kinds`,
        each with `loss` (nats a token), `tokens` and `instructions`.

    Raises:
        `BenchError`: If model, data or folder do not fit.
    """
    out = Path(out)
    check_control(control)
    pictures = _read_pictures(_load(data, split), limit)
    identity = Identity(
        model=model_id,
        model_fingerprint=model_fingerprint(model_id),
        data=f"{Path(data).resolve().name}/{split}",
        data_fingerprint=_fingerprint(pictures),
        control=control,
        settings={"dtype": dtype_name(), "limit": limit},
        versions=library_versions(),
    )
    loss_file, run_file = out / LOSS, out / RUN
    if run_file.exists():
        identity.check_same(read_json(run_file), run_file, fields=("model", "control"))
    if loss_file.exists():
        recorded: dict[str, Any] = read_json(loss_file)
        identity.check_same(recorded["run"], loss_file)
        return recorded
    items = _to_items(pictures, control)
    losses = _losses(load_model(model_id), items, batch_size)
    result = {"run": asdict(identity), **_summary(items, losses)}
    out.mkdir(parents=True, exist_ok=True)
    write_json(loss_file, result)
    return result


def _load(data: str | Path, split: str) -> IterableDataset:
    if not Path(data).exists():
        check_hub_id(str(data), "a data set's folder")
    try:
        # streamed, since the cache of `load_dataset` can serve an older state of a folder
        parts = load_dataset(str(data), "instructions", streaming=True)
    except (OSError, ValueError) as error:
        raise BenchError(f"{data} is no data set with a configuration 'instructions': {error}") from error
    if split not in parts:
        raise BenchError(f"{data} has no split {split!r}, expected one of {', '.join(parts)}")
    # undecoded, so that pictures are opened here as everywhere in the benchmark
    return (
        parts[split]
        .select_columns(["image_id", "original", "image", "instructions"])
        .cast_column("image", Image(decode=False))
    )


def _read_pictures(dataset: IterableDataset, limit: int | None) -> list[AnnotatedPicture]:
    kind = dataset.features["instructions"].feature["kind"]
    pictures = []
    for row in dataset:
        drawn = _drawn(row["instructions"], limit, row["image_id"])
        instructions = [
            Instruction(prompt=entry["prompt"], response=entry["response"], kind=kind.int2str(entry["kind"]))
            for entry in drawn
        ]
        pictures.append(AnnotatedPicture(row["image_id"], row["original"], row["image"]["bytes"], instructions))
    if not any(picture.instructions for picture in pictures):
        raise BenchError("the data has no instructions")
    return pictures


def _drawn(instructions: Sequence[Any], limit: int | None, image_id: str) -> list[Any]:
    if limit is None or limit >= len(instructions):
        return list(instructions)
    chosen = random.Random(f"{SEED} {image_id}").sample(range(len(instructions)), limit)
    return [instructions[i] for i in sorted(chosen)]


def _fingerprint(pictures: Sequence[AnnotatedPicture]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        content = hashlib.sha256(picture.content).hexdigest()
        asked = [sorted(instruction.items()) for instruction in picture.instructions]
        digest.update(repr((picture.image_id, content, asked)).encode())
    return digest.hexdigest()


def _to_items(pictures: Sequence[AnnotatedPicture], control: str | None) -> list[LossItem]:
    by_id = {picture.image_id: picture for picture in pictures}
    shown = {image_id: image_id for image_id in by_id}
    if control:
        shown = swap_pictures({picture.image_id: picture.original for picture in pictures})
    return [
        LossItem(by_id[shown[picture.image_id]], instruction)
        for picture in pictures
        for instruction in picture.instructions
    ]


def _losses(model: VisionLanguageModel, items: Sequence[LossItem], batch_size: int) -> list[tuple[float, int]]:
    """The summed loss and the number of response tokens of every item."""
    losses = [(0.0, 0)] * len(items)
    order = sorted(range(len(items)), key=lambda i: -_length(items[i].instruction))
    with tqdm(total=len(items), desc="response loss", unit="response", disable=None) as progress:
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            pictures = [open_picture(items[i].shown.content, items[i].shown.image_id) for i in places]
            batch = batch_losses(model, [items[i].instruction for i in places], pictures)
            for place, loss in zip(places, batch, strict=True):
                losses[place] = loss
            progress.update(len(places))
    return losses


def _length(instruction: Instruction) -> int:
    return len(instruction["prompt"]) + len(instruction["response"])


@torch.inference_mode()
def batch_losses(
    model: VisionLanguageModel, instructions: Sequence[Instruction], pictures: Sequence[Picture]
) -> list[tuple[float, int]]:
    """Predicts a batch of responses.

    Args:
        model (`VisionLanguageModel`): The model.
        instructions (`Sequence[Instruction]`): Prompts and responses.
        pictures (`Sequence[Picture]`): The pictures that they are about.

    Returns:
        `list[tuple[float, int]]`: For each response its summed loss in nats, and its number of tokens.

    Raises:
        `ChatTemplateError`: If the chat template does not write a conversation as a prompt followed by a response.
        `BenchError`: If the processor does not write it in the same tokens.
    """
    conversations = [_conversation(*pair) for pair in zip(instructions, pictures, strict=True)]
    responses = [
        response_tokens(model.processor, conversation[:-1], instruction["response"])
        for conversation, instruction in zip(conversations, instructions, strict=True)
    ]
    # padded on the right: then a token's position does not depend on the rest of the batch
    inputs = model.encode(conversations, padding_side="right")
    ends = inputs["attention_mask"].sum(dim=1).tolist()
    starts = [end - len(response) for end, response in zip(ends, responses, strict=True)]
    offset = min(starts) - 1  # a token is predicted at the position before it
    logits = _logits_from(model.model, inputs, offset)
    losses = []
    for i, (start, end, response) in enumerate(zip(starts, ends, responses, strict=True)):
        target = inputs["input_ids"][i, start:end]
        if target.tolist() != response:
            raise BenchError(f"the processor writes the response {instructions[i]['response'][:60]!r} in other tokens")
        predicted = logits[i, start - 1 - offset : end - 1 - offset].float()
        losses.append((cross_entropy(predicted, target, reduction="sum").item(), len(response)))
    return losses


def _conversation(instruction: Instruction, picture: Picture) -> list[dict[str, Any]]:
    turns = to_prompt_completion(instruction)
    for part in turns["prompt"][0]["content"]:
        if part["type"] == "image":
            part["image"] = picture
    return turns["prompt"] + turns["completion"]


def _logits_from(model: Any, inputs: Any, offset: int) -> torch.Tensor:
    """Logits of the positions from `offset` on, the only ones computed where the model allows it."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        kept = inputs["input_ids"].shape[1] - offset
        logits: torch.Tensor = model(**inputs, use_cache=False, logits_to_keep=kept).logits
        return logits
    return model(**inputs, use_cache=False).logits[:, offset:]


def _summary(items: Sequence[LossItem], losses: Sequence[tuple[float, int]]) -> dict[str, Any]:
    by_kind: dict[str, list[tuple[float, int]]] = {}
    for item, loss in zip(items, losses, strict=True):
        by_kind.setdefault(item.instruction["kind"], []).append(loss)
    kinds = {kind: _mean(by_kind[kind]) for kind in sorted(by_kind)}
    return {"overall": _mean(losses), "kinds": kinds}


def _mean(losses: Sequence[tuple[float, int]]) -> dict[str, float]:
    tokens = sum(count for _, count in losses)
    return {"loss": sum(loss for loss, _ in losses) / tokens, "tokens": tokens, "instructions": len(losses)}
