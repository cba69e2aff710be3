"""LLaVA-1.5 folders, in their authors' layout or as transformers saves them, to AesExpert."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
    PreTrainedTokenizerBase,
)

from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.family import Conversion, empty_model, read_template
from aesexpert.models.convert.pictures import clip_options, pads_to_square
from aesexpert.models.convert.plan import Change, Rename
from aesexpert.models.convert.source import Source, build_config
from aesexpert.models.convert.text import llama_values
from aesexpert.models.convert.tower import EMBEDDED, VISION_FIELDS, Tower, find_tower, rename_tower
from aesexpert.models.convert.vocabulary import Vocabulary, count_rows, make_room
from aesexpert.models.convert.weights import TensorInfo


_IMAGE_TOKEN, _PAD_TOKEN = "<image>", "<pad>"
_ROWS = 64  # the vocabulary grows to a multiple of this, as 32,000 to 32,064
# What LLaVA-1.5 says of itself, where its code would do something else for another value.
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_use_im_start_end": (False, None),
    "mm_use_im_patch_token": (False, None),
    "mm_patch_merge_type": ("flat", None),
    "image_aspect_ratio": ("pad", "square", None),
    "mm_vision_select_feature": ("patch", "cls_patch", None),
}
# From a checkpoint in the authors' layout, and from one of any version of transformers, to the names that
# `save_pretrained` gives.
_ORIGINAL = (
    (r"^model\.mm_projector\.0\.", "multi_modal_projector.linear_1."),
    (r"^model\.mm_projector\.2\.", "multi_modal_projector.linear_2."),
    (rf"^{re.escape(EMBEDDED)}(vision_model\.)?", "vision_tower."),
    (r"^model\.(embed_tokens|layers|norm)\.", r"language_model.model.\1."),
    (r"^lm_head\.", "language_model.lm_head."),
)
_SAVED = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^(model\.)?vision_tower\.(vision_model\.)?", "vision_tower."),
    (r"^model\.multi_modal_projector\.", "multi_modal_projector."),
    (r"^lm_head\.", "language_model.lm_head."),
)
_EMBEDDINGS, _HEAD = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"


def prepare_llava(source: Source, vision_tower: Path | None, allow_pickle: bool) -> Conversion:
    """
    Work out what a LLaVA-1.5 folder in its authors' layout becomes.

    Args:
        source (`Source`): The folder; its tokenizer is changed.
        vision_tower (`Path`, *optional*): The folder of its vision tower.
        allow_pickle (`bool`): Whether `.bin` files may be read.

    Returns:
        `Conversion`: Its conversion.

    Raises:
        `ConversionError`: If its configuration describes something else, or its vision tower is missing.
    """
    where = source.folder / "config.json"
    for name, allowed in _FIXED.items():
        if source.config.get(name) not in allowed:
            raise ConversionError(
                f"{where}: `{name}` is {source.config.get(name)!r}; in LLaVA-1.5 it is {allowed[0]!r}, and nothing "
                "else can be converted"
            )
    vocabulary = _vocabulary(source, _ORIGINAL, None)
    tower = find_tower(source, vision_tower, allow_pickle)
    values = llama_values(source.config, _pad_token_id(source.tokenizer))
    select_cls = source.config.get("mm_vision_select_feature") == "cls_patch"
    config = build_config(
        LlavaConfig,
        {},
        (),
        where,
        vision_config=tower.config,
        text_config=build_config(LlamaConfig, values, values, where, vocab_size=vocabulary.rows),
        image_token_index=vocabulary.image_token_id,
        vision_feature_layer=source.config.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full" if select_cls else "default",
    )
    sources: list[tuple[Mapping[str, TensorInfo], Rename]] = [
        (source.tensors, partial(_rename, names=_ORIGINAL, grow=vocabulary.change))
    ]
    if tower.tensors:
        sources.insert(0, (tower.tensors, rename_tower))
    return _conversion(source, config, sources, tower, do_pad=source.config.get("image_aspect_ratio") == "pad")


def prepare_saved_llava(source: Source) -> Conversion:
    """
    Work out what a LLaVA-1.5 folder becomes that some version of transformers wrote.

    Args:
        source (`Source`): The folder; its tokenizer is changed.

    Returns:
        `Conversion`: Its conversion; processor, picture token and padded vocabulary are added where they are missing.

    Raises:
        `ConversionError`: If its configuration describes something else.
    """
    where = source.folder / "config.json"
    text, vision = source.config.get("text_config") or {}, source.config.get("vision_config") or {}
    for part, values, wanted in (("text_config", text, "llama"), ("vision_config", vision, "clip_vision_model")):
        if values.get("model_type", wanted) != wanted:
            raise ConversionError(f"{where}: `{part}` is of type {values['model_type']!r}; LLaVA-1.5 has {wanted!r}")
    vocabulary = _vocabulary(source, _SAVED, source.config.get("image_token_index"))
    values = llama_values(text, _pad_token_id(source.tokenizer))
    defaults = LlavaConfig().vision_config.to_dict()
    vision_config = build_config(CLIPVisionConfig, {**defaults, **vision}, VISION_FIELDS, where)
    config = build_config(
        LlavaConfig,
        source.config,
        (
            "projector_hidden_act",
            "vision_feature_select_strategy",
            "vision_feature_layer",
            "multimodal_projector_bias",
        ),
        where,
        vision_config=vision_config,
        text_config=build_config(LlamaConfig, values, values, where, vocab_size=vocabulary.rows),
        image_token_index=vocabulary.image_token_id,
    )
    do_pad = pads_to_square(source.folder)
    note = None
    if do_pad is None:
        note = "pictures are padded to squares, as LLaVA-1.5 was trained; the source's own processor crops them"
    rename = partial(_rename, names=_SAVED, grow=vocabulary.change)
    tower = Tower(vision_config, {}, None, note)
    return _conversion(source, config, [(source.tensors, rename)], tower, do_pad=do_pad is not False)


def _conversion(
    source: Source,
    config: LlavaConfig,
    sources: Sequence[tuple[Mapping[str, TensorInfo], Rename]],
    tower: Tower,
    do_pad: bool,
) -> Conversion:
    size, patch_size = config.vision_config.image_size, config.vision_config.patch_size
    with_class_token = config.vision_feature_select_strategy == "full"
    config.image_seq_length = (size // patch_size) ** 2 + with_class_token
    image_processor = LlavaImageProcessorPil(
        do_pad=do_pad,
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        **clip_options(tower.folder, source.folder),
    )
    processor = None
    if source.tokenizer is not None:
        processor = LlavaProcessor(
            image_processor=image_processor,
            tokenizer=source.tokenizer,
            patch_size=patch_size,
            vision_feature_select_strategy=config.vision_feature_select_strategy,
            num_additional_image_tokens=1,
            image_token=_IMAGE_TOKEN,
            chat_template=read_template("llava"),
        )
    model = empty_model(LlavaForConditionalGeneration, config, sum(len(tensors) for tensors, _ in sources))
    renamed = {_new_name(name, names): name for names in (_ORIGINAL, _SAVED) for name in source.tensors}
    return Conversion(
        model=model,
        saved_names={name: _new_name(name, _SAVED) for name in model.state_dict()},
        sources=sources,
        dtype=source.tensors[renamed[_EMBEDDINGS]].dtype,
        processor=processor,
        image_processor=image_processor,
        notes=[tower.note] if tower.note else [],
    )


def _vocabulary(source: Source, names: Sequence[tuple[str, str]], known_token: int | None) -> Vocabulary:
    renamed = {_new_name(name, names): name for name in source.tensors}
    embeddings, head = renamed.get(_EMBEDDINGS, _EMBEDDINGS), renamed.get(_HEAD, _HEAD)
    rows = count_rows(source.tensors, embeddings, head, source.config.get("vocab_size"))
    return make_room(source.tokenizer, _IMAGE_TOKEN, rows, _PAD_TOKEN, known_token, multiple=_ROWS)


def _pad_token_id(tokenizer: PreTrainedTokenizerBase | None) -> int | None:
    return None if tokenizer is None else tokenizer.pad_token_id


def _rename(name: str, names: Sequence[tuple[str, str]], grow: Change | None) -> dict[str, Change | None]:
    new_name = _new_name(name, names)
    return {new_name: grow if new_name in (_EMBEDDINGS, _HEAD) else None}


def _new_name(name: str, names: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in names:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    return name
