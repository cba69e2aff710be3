"""Tiny random checkpoints, built on the fly: two layers a part, a few kilobytes, on the real architectures."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)

from aesexpert.models import AesExpertOwl2Config, AesExpertOwl2ForConditionalGeneration, AesExpertOwl2Processor


IMAGE_SIZE = 28
PATCH_SIZE = 14
SPECIAL_TOKENS = ["<pad>", "<|im_start|>", "<|im_end|>", "<image>", "<fake_token_around_image>", "<global-img>"]
CORPUS = [
    "How would you rate the overall aesthetics of this image? Choose one from the following options:",
    "You should output a correct option without explanation. You should output a correct option.",
    "A) High B) Medium C) Low D) Yes, No. user assistant system",
    "The composition, the colour and the light of the picture give a calm and pleasant emotion.",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endgeneration %}"
    "{% else %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_tokenizer(**tokens: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of about 400 tokens: it reads any text, knows `<image>` and the named `tokens`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(dict.fromkeys([*SPECIAL_TOKENS, *tokens.values()])),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        additional_special_tokens=SPECIAL_TOKENS[1:],
        extra_special_tokens=tokens,
    )


def tiny_text_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """A Llama of two layers. Its wide initialisation makes greedy answers differ between questions."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )


def build_tiny_llava(folder: Path, seed: int = 0) -> Path:
    """Writes a stock `llava` checkpoint with its processor: a CLIP tower with four tokens a picture, a tiny Llama."""
    tokenizer = tiny_tokenizer()
    vision_config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
    )
    config = LlavaConfig(
        vision_config=vision_config,
        text_config=tiny_text_config(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(IMAGE_SIZE // PATCH_SIZE) ** 2,
    )
    image_processor = CLIPImageProcessorPil(
        size={"shortest_edge": IMAGE_SIZE}, crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    )
    processor = LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(seed)
    return save(folder, LlavaForConditionalGeneration(config), processor)


def build_tiny_idefics3(folder: Path, seed: int = 0) -> Path:
    """Writes an `idefics3` checkpoint: another architecture, whose pictures become several tagged tokens."""
    tokenizer = tiny_tokenizer()
    config = Idefics3Config(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE // 2,
        },
        text_config=tiny_text_config(tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    image_processor = Idefics3ImageProcessorPil(
        size={"longest_edge": IMAGE_SIZE}, max_image_size={"longest_edge": IMAGE_SIZE}, do_image_splitting=False
    )
    processor = Idefics3Processor(
        image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE
    )
    torch.manual_seed(seed)
    return save(folder, Idefics3ForConditionalGeneration(config), processor)


def save(folder: Path, model: PreTrainedModel, processor: ProcessorMixin) -> Path:
    """Saves a model and its processor into one folder."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tiny_owl2_config(vocab_size: int, image_token_id: int, **text: Any) -> AesExpertOwl2Config:
    """An AesExpertOwl2 of two layers a part, with five vectors a picture of 28 px."""
    return AesExpertOwl2Config(
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "layer_norm_eps": 1e-6,
        },
        abstractor_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_queries": 4,
            "grid_size": IMAGE_SIZE // PATCH_SIZE,
        },
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 2048,
            "initializer_range": 0.3,
            "pad_token_id": 0,
            **text,
        },
        image_token_id=image_token_id,
    )


def build_tiny_owl2(folder: Path, seed: int = 0) -> Path:
    """Writes an `aesexpert_owl2` checkpoint with its processor."""
    tokenizer = tiny_tokenizer()
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = tiny_owl2_config(len(tokenizer), tokenizer.convert_tokens_to_ids("<image>"), **tokens)
    processor = AesExpertOwl2Processor(
        image_processor=CLIPImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, do_center_crop=False),
        tokenizer=tokenizer,
        image_seq_length=config.image_seq_length,
        image_token="<image>",
        chat_template=CHAT_TEMPLATE,
    )
    torch.manual_seed(seed)
    return save(folder, AesExpertOwl2ForConditionalGeneration(config), processor)
