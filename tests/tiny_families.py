"""Tiny random models of the families that people train today, with their own processors, on the real architectures."""

import re
from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    GotOcr2ImageProcessorPil,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    InternVLProcessor,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen3VLProcessor,
)

from aesexpert.models import (
    AesExpertForConditionalGeneration,
    AesExpertOwl2ForConditionalGeneration,
    AesExpertOwl2Processor,
    AesExpertProcessor,
)
from tiny_models import CHAT_TEMPLATE, build_tiny_llava, build_tiny_owl2, tiny_tokenizer


TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "initializer_range": 0.3,
}
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
QWEN_TOKENS = {
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
    "begin": "<|vision_start|>",
    "end": "<|vision_end|>",
}
QWEN_TEMPLATE = CHAT_TEMPLATE.replace("<image>\n", "<|vision_start|><|image_pad|><|vision_end|>")

Family = tuple[PreTrainedModel, ProcessorMixin]


def _model(config: dict, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    model_type = config.pop("model_type")
    return AutoModelForImageTextToText.from_config(AutoConfig.for_model(model_type, **config)).eval()


def _without_videos(
    processor_class: type[ProcessorMixin], image_processor: Any, tokenizer: Any, chat_template: str, **values: Any
) -> ProcessorMixin:
    """A processor of pictures alone: the part for videos needs torchvision."""

    class Pictures(processor_class):
        def __init__(self, image_processor, tokenizer, chat_template=None):
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    processor = Pictures(image_processor, tokenizer, chat_template)
    video_token = tokenizer.video_token
    image_token = getattr(tokenizer, "context_image_token", None) or tokenizer.image_token
    values |= {"image_token": image_token, "image_token_id": tokenizer.convert_tokens_to_ids(image_token)}
    values |= {"video_token": video_token, "video_token_id": tokenizer.convert_tokens_to_ids(video_token)}
    for name, value in values.items():
        setattr(processor, name, value)
    return processor


def llava(tmp_path) -> Family:
    folder = build_tiny_llava(tmp_path / "llava")
    return AutoModelForImageTextToText.from_pretrained(folder), AesExpertProcessor.from_pretrained(folder)


def aesexpert(tmp_path) -> Family:
    folder = build_tiny_llava(tmp_path / "llava")
    return AesExpertForConditionalGeneration.from_pretrained(folder), AesExpertProcessor.from_pretrained(folder)


def aesexpert_owl2(tmp_path) -> Family:
    folder = build_tiny_owl2(tmp_path / "owl2")
    model = AesExpertOwl2ForConditionalGeneration.from_pretrained(folder)
    return model, AesExpertOwl2Processor.from_pretrained(folder)


def smolvlm(tmp_path) -> Family:
    tokenizer = tiny_tokenizer()
    text = {**TEXT, "model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    vision = {**VISION, "image_size": 28, "patch_size": 7}
    image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    config = {"model_type": "smolvlm", "text_config": text, "vision_config": vision, "scale_factor": 2}
    image_processor = Idefics3ImageProcessorPil(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True
    )
    # SmolVLM's own processor differs in its videos alone, and wants one more package for them
    processor = Idefics3Processor(image_processor, tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE)
    return _model({**config, "image_token_id": image_token_id}), processor


def internvl(tmp_path) -> Family:
    tokenizer = tiny_tokenizer(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<image>", video_token="<video>"
    )
    text = {**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    vision = {**VISION, "image_size": (28, 28), "patch_size": (7, 7)}
    image_processor = GotOcr2ImageProcessorPil(size={"height": 28, "width": 28}, crop_to_patches=False)
    both = f"(?P<image>{re.escape('<image>')})|(?P<video>{re.escape('<video>')})"
    values = {"start_image_token": "<img>", "end_image_token": "</img>", "multimodal_pattern": re.compile(both)}
    for end in ("start", "end"):
        values[f"{end}_image_token_id"] = tokenizer.convert_tokens_to_ids(values[f"{end}_image_token"])
    processor = _without_videos(
        InternVLProcessor, image_processor, tokenizer, CHAT_TEMPLATE, image_seq_length=4, **values
    )
    config = {"model_type": "internvl", "text_config": text, "vision_config": vision, "image_seq_length": 4}
    return _model({**config, "image_token_id": processor.image_token_id}), processor


def _qwen(model_type: str, processor_class: type[ProcessorMixin], vision: dict, rope: dict) -> Family:
    tokenizer = tiny_tokenizer(**{f"{name}_token": token for name, token in QWEN_TOKENS.items()})
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in QWEN_TOKENS.items()}
    text = {
        **TEXT,
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **rope},
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    image_processor = Qwen2VLImageProcessorPil(
        patch_size=7, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 14 * 14, "longest_edge": 42 * 42}
    )
    config = {
        "model_type": model_type,
        "text_config": text,
        "vision_config": vision,
        "image_token_id": ids["image"],
        "video_token_id": ids["video"],
        "vision_start_token_id": ids["begin"],
        "vision_end_token_id": ids["end"],
    }
    return _model(config), _without_videos(processor_class, image_processor, tokenizer, QWEN_TEMPLATE)


def qwen2_vl(tmp_path) -> Family:
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2, "patch_size": 7}
    return _qwen("qwen2_vl", Qwen2VLProcessor, vision, {"mrope_section": [1, 1, 2]})


def qwen2_5_vl(tmp_path) -> Family:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "out_hidden_size": 32,
        "patch_size": 7,
        "window_size": 28,
        "fullatt_block_indexes": [1],
    }
    return _qwen("qwen2_5_vl", Qwen2_5_VLProcessor, vision, {"mrope_section": [1, 1, 2]})


def qwen3_vl(tmp_path) -> Family:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 4,
        "out_hidden_size": 32,
        "patch_size": 7,
        "num_position_embeddings": 36,
        "deepstack_visual_indexes": [0],
    }
    return _qwen("qwen3_vl", Qwen3VLProcessor, vision, {"mrope_section": [2, 1, 1], "mrope_interleaved": True})


FAMILIES: dict[str, Callable[..., Family]] = {
    family.__name__: family
    for family in (aesexpert, aesexpert_owl2, llava, smolvlm, internvl, qwen2_vl, qwen2_5_vl, qwen3_vl)
}
