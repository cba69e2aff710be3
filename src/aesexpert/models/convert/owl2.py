"""mPLUG-Owl2 folders in their authors' layout, to AesExpertOwl2."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from transformers import CLIPImageProcessorPil, CLIPVisionConfig

from aesexpert.models.configuration_aesexpert_owl2 import (
    AesExpertOwl2AbstractorConfig,
    AesExpertOwl2Config,
    AesExpertOwl2TextConfig,
)
from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.family import Conversion, empty_model, read_template
from aesexpert.models.convert.pictures import clip_options
from aesexpert.models.convert.plan import Change
from aesexpert.models.convert.source import Source, build_config
from aesexpert.models.convert.text import llama_values
from aesexpert.models.convert.vocabulary import count_rows, make_room
from aesexpert.models.modeling_aesexpert_owl2 import AesExpertOwl2ForConditionalGeneration
from aesexpert.models.processing_aesexpert_owl2 import AesExpertOwl2Processor


_IMAGE_TOKEN = "<|image|>"
_EMBEDDINGS, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
# Left out of a configuration means the authors' defaults: the released sizes.
_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "projection_dim": 768,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 448,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-6,
    "attention_dropout": 0.0,
}
_ABSTRACTOR = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "num_learnable_queries": "num_queries",
    "grid_size": "grid_size",
    "layer_norm_eps": "layer_norm_eps",
    "attention_probs_dropout_prob": "attention_dropout",
}
_FIXED = (
    ("visual_model", "use_post_layernorm", True),
    ("visual_abstractor", "use_cls_token", True),
    ("visual_abstractor", "add_v2t_pos_emb", False),
)
_PARTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    r"model\.vision_model\.": (
        (r"^model\.vision_model\.", "model.vision_tower."),
        (r"\.embeddings\.cls_token$", ".embeddings.class_embedding"),
        (r"\.embeddings\.position_embedding$", ".embeddings.position_embedding.weight"),
        (r"\.patch_embed\.", ".patch_embedding."),
        (r"\.embeddings\.pre_layernorm\.", ".pre_layrnorm."),
        (r"\.input_layernorm\.", ".layer_norm1."),
        (r"\.post_attention_layernorm\.", ".layer_norm2."),
        (r"\.dense\.", ".out_proj."),
    ),
    r"model\.visual_abstractor\.": (
        (r"\.vit_eos$", ".end_embed"),
        (r"\.visual_fc\.", ".output_proj."),
        (r"\.encoder\.layers\.(\d+)\.crossattention\.", r".layers.\1."),
        (r"\.attention\.query\.", ".attention.q_proj."),
        (r"\.attention\.key\.", ".attention.k_proj."),
        (r"\.attention\.value\.", ".attention.v_proj."),
        (r"\.output\.out_proj\.", ".attention.out_proj."),
        (r"\.norm1\.", ".query_norm."),
        (r"\.normk\.", ".image_norm."),
        (r"\.output\.norm2\.", ".mlp_norm."),
        (r"\.output\.mlp\.", ".mlp."),
        (r"\.mlp\.w1\.", ".mlp.gate_proj."),
        (r"\.mlp\.w3\.", ".mlp.up_proj."),
        (r"\.mlp\.ffn_ln\.", ".mlp.norm."),
        (r"\.mlp\.w2\.", ".mlp.down_proj."),
    ),
    r"model\.": (
        (r"^model\.", "model.language_model."),
        (r"\.multiway\.0\.", ".text."),
        (r"\.multiway\.1\.", ".image."),
    ),
    r"": (),
}


def prepare_owl2(source: Source) -> Conversion:
    """
    Work out what an mPLUG-Owl2 folder becomes.

    Args:
        source (`Source`): The folder; its tokenizer is changed.

    Returns:
        `Conversion`: Its conversion.

    Raises:
        `ConversionError`: If its configuration describes something else.
    """
    rows = count_rows(source.tensors, _EMBEDDINGS, _HEAD, source.config.get("vocab_size"))
    tokenizer = source.tokenizer
    if tokenizer is not None and tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token
    vocabulary = make_room(tokenizer, _IMAGE_TOKEN, rows)
    config = _config(source, vocabulary.image_token_id, vocabulary.rows)
    model = empty_model(AesExpertOwl2ForConditionalGeneration, config, len(source.tensors))
    size = config.vision_config.image_size
    options = clip_options(source.folder)
    image_processor = CLIPImageProcessorPil(size={"height": size, "width": size}, do_center_crop=False, **options)
    processor = None
    if tokenizer is not None:
        processor = AesExpertOwl2Processor(
            image_processor=image_processor,
            tokenizer=tokenizer,
            image_seq_length=config.image_seq_length,
            image_token=_IMAGE_TOKEN,
            chat_template=read_template("owl2"),
        )
    rename = partial(_rename, heads=config.vision_config.num_attention_heads, grow=vocabulary.change)
    return Conversion(
        model=model,
        saved_names={name: name for name in model.state_dict()},
        sources=[(source.tensors, rename)],
        dtype=source.tensors[_EMBEDDINGS].dtype,
        processor=processor,
        image_processor=image_processor,
    )


def _config(source: Source, image_token_id: int, rows: int) -> AesExpertOwl2Config:
    where = source.folder / "config.json"
    visual = source.config.get("visual_config") or {}
    tower, abstractor = visual.get("visual_model") or {}, visual.get("visual_abstractor") or {}
    for part, name, wanted in _FIXED:
        if (visual.get(part) or {}).get(name, wanted) != wanted:
            raise ConversionError(f"{where}: `{name}` is {visual[part][name]}, but in mPLUG-Owl2 it is {wanted}")
    vision_config = build_config(CLIPVisionConfig, {**_VISION, **tower}, _VISION, where)
    values = {new: abstractor[old] for old, new in _ABSTRACTOR.items() if abstractor.get(old) is not None}
    abstractor_config = build_config(AesExpertOwl2AbstractorConfig, values, values, where)
    _check_abstractor(vision_config, abstractor_config, where)
    pad_token_id = source.tokenizer.pad_token_id if source.tokenizer is not None else None
    values = llama_values(source.config, pad_token_id)
    return AesExpertOwl2Config(
        vision_config=vision_config,
        abstractor_config=abstractor_config,
        text_config=build_config(AesExpertOwl2TextConfig, values, values, where, vocab_size=rows),
        image_token_id=image_token_id,
        tie_word_embeddings=bool(values.get("tie_word_embeddings", False)),
    )


def _check_abstractor(tower: CLIPVisionConfig, abstractor: AesExpertOwl2AbstractorConfig, where: Path) -> None:
    grid = tower.image_size // tower.patch_size
    if abstractor.grid_size != grid:
        raise ConversionError(
            f"{where}: `grid_size` of the abstractor is {abstractor.grid_size}, but a picture of {tower.image_size} "
            f"px has {grid} patches of {tower.patch_size} px along a side"
        )
    if abstractor.hidden_size != tower.hidden_size:
        raise ConversionError(
            f"{where}: the abstractor is {abstractor.hidden_size} wide and the vision tower {tower.hidden_size}; "
            "they must be equal"
        )


def _rename(name: str, heads: int, grow: Change | None) -> dict[str, Change | None]:
    if name.endswith((".query_key_value.weight", ".query_key_value.bias")):
        return _split_heads(_new_name(name), heads)
    if name in (_EMBEDDINGS, _HEAD):
        return {_new_name(name): grow}
    if name.endswith((".cls_token", ".position_embedding", ".query_embeds", ".vit_eos")):
        flat = name.endswith((".cls_token", ".vit_eos"))
        return {_new_name(name): torch.flatten if flat else partial(torch.squeeze, dim=0)}
    return {_new_name(name): None}


def _new_name(name: str) -> str:
    renames = next(renames for part, renames in _PARTS.items() if re.match(part, name))
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _split_heads(name: str, heads: int) -> dict[str, Change | None]:
    """Queries, keys and values of each head stand together: (heads, 3, head_dim, ...)."""

    def part(number: int, fused: torch.Tensor) -> torch.Tensor:
        return fused.unflatten(0, (heads, 3, -1))[:, number].flatten(0, 1)

    return {
        name.replace("query_key_value", projection): partial(part, number)
        for number, projection in enumerate(("q_proj", "k_proj", "v_proj"))
    }
