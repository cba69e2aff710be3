"""From a checkpoint folder of somebody else to one of this library."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from aesexpert.models.checkpoint import CheckpointFormat, save_architecture
from aesexpert.models.convert.card import render_card
from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.family import Conversion, recomputed
from aesexpert.models.convert.llava import prepare_llava, prepare_saved_llava
from aesexpert.models.convert.owl2 import prepare_owl2
from aesexpert.models.convert.plan import make_plan
from aesexpert.models.convert.source import Source, read_json, read_source
from aesexpert.models.convert.writer import check_absent, check_space, whole_folder, write_shards


class Family(StrEnum):
    """The backbones of the paper."""

    LLAVA = "llava"
    OWL2 = "owl2"


class DType(StrEnum):
    """The number formats of a checkpoint."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class ConversionReport:
    """
    What a conversion did.

    Args:
        folder (`Path`): The new checkpoint.
        family (`Family`): Which backbone it is.
        parameters (`int`): How many parameters the model has.
        bytes (`int`): How many bytes its tensors take.
        written (`int`): How many tensors were written.
        unused (`dict[str, str]`): The source tensors that were left over, with the reason.
        notes (`list[str]`): What the user should know.
    """

    folder: Path
    family: Family
    parameters: int
    bytes: int
    written: int
    unused: dict[str, str]
    notes: list[str] = field(default_factory=list)


def convert_checkpoint(
    source: str | Path,
    out: str | Path,
    family: Family | str | None = None,
    vision_tower: str | Path | None = None,
    dtype: DType | str | None = None,
    checkpoint_format: CheckpointFormat | str = CheckpointFormat.LLAVA,
    allow_pickle: bool = False,
) -> ConversionReport:
    """
    Convert a checkpoint of one of the paper's backbones (Table 2), with one shard in memory at a time.

    Reads LLaVA-1.5 and mPLUG-Owl2 folders in their authors' layout, and LLaVA-1.5 folders of any version of
    transformers; weights as safetensors or pickles, whole or in shards. Everything is checked before anything is
    written, and `out` appears when it is complete.

    Args:
        source (`str` or `Path`): The folder to read.
        out (`str` or `Path`): The folder to make.
        family (`Family` or `str`, *optional*): Which backbone it must be; by default its configuration says.
        vision_tower (`str` or `Path`, *optional*): The folder of the vision tower that a LLaVA folder names.
        dtype (`DType` or `str`, *optional*): The number format to write; by default the source's language model's.
        checkpoint_format (`CheckpointFormat` or `str`, *optional*, defaults to `"llava"`):
            Whether LLaVA becomes a stock `llava` folder or the registered type; mPLUG-Owl2 always has its own type.
        allow_pickle (`bool`, *optional*, defaults to `False`): Whether `.bin` files may be read.

    Returns:
        `ConversionReport`: What was done.

    Raises:
        `ConversionError`: If something is missing, damaged, of another architecture, or in the way.
    """
    source, out = Path(source), Path(out)
    check_absent(out)
    origin = read_source(source, allow_pickle)
    found = _family(origin, family)
    tower = None if vision_tower is None else Path(vision_tower)
    conversion = _prepare(origin, found, tower, allow_pickle)
    notes = [*conversion.notes, *_notes(origin)]
    plan = make_plan(conversion.sources, conversion.expected, recomputed)
    number_format = conversion.dtype if dtype is None else getattr(torch, DType(dtype))
    check_space(plan, number_format, out)
    config = conversion.model.config
    config.dtype = number_format
    parameters = sum(parameter.numel() for parameter in conversion.model.parameters())
    with whole_folder(out) as folder:
        total = write_shards(plan, number_format, folder)
        _generation_config(origin, conversion).save_pretrained(folder)
        reader = conversion.processor or conversion.image_processor
        config = save_architecture(conversion.model, reader, folder, checkpoint_format)
        card = render_card(out.name, source.resolve().name, config, parameters, plan, notes)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return ConversionReport(out, found, parameters, total, len(plan.targets), plan.unused, notes)


def _family(source: Source, wanted: Family | str | None) -> Family:
    model_type = source.config.get("model_type")
    if model_type == "mplug_owl2":
        found = Family.OWL2
    elif model_type in ("llava", "llava_llama") and ("mm_vision_tower" in source.config or _is_saved_llava(source)):
        found = Family.LLAVA
    else:
        raise ConversionError(
            f"{source.folder}/config.json describes a {model_type!r}; expected LLaVA-1.5 or mPLUG-Owl2"
        )
    if wanted is not None and Family(wanted) != found:
        raise ConversionError(f"{source.folder} is of the family {found}, but --family is {wanted}")
    return found


def _is_saved_llava(source: Source) -> bool:
    return "text_config" in source.config or "vision_config" in source.config


def _prepare(source: Source, family: Family, vision_tower: Path | None, allow_pickle: bool) -> Conversion:
    if family is Family.LLAVA and "mm_vision_tower" in source.config:
        return prepare_llava(source, vision_tower, allow_pickle)
    if vision_tower is not None:
        raise ConversionError(f"{source.folder} has its vision tower inside; leave out --vision-tower")
    return prepare_owl2(source) if family is Family.OWL2 else prepare_saved_llava(source)


def _notes(source: Source) -> list[str]:
    if source.tokenizer is not None:
        return []
    return [
        "the source has no tokenizer, so there is no processor either: save one into the folder before you use text"
    ]


def _generation_config(source: Source, conversion: Conversion) -> GenerationConfig:
    """The special tokens alone: decoding is greedy unless the caller says otherwise, as in the paper's benchmark."""
    file = source.folder / "generation_config.json"
    values: dict[str, Any] = read_json(file) if file.is_file() else {}
    text = conversion.model.config.text_config
    names = ("bos_token_id", "eos_token_id")
    tokens = {name: values.get(name, getattr(text, name)) for name in names}
    return GenerationConfig(do_sample=False, pad_token_id=text.pad_token_id, **tokens)
