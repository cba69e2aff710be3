"""Loading a model in 4 bits a weight, for LoRA on a GPU that does not hold it otherwise (QLoRA, arXiv 2305.14314)."""

from importlib.util import find_spec

from transformers import BitsAndBytesConfig
from trl import ModelConfig, get_quantization_config


# What `get_encoder` looks for, and the head: they are a small part, and pictures suffer first from fewer bits.
_KEPT = ("vision_tower", "visual", "vision_model", "vision_encoder", "image_tower", "lm_head")


def quantization_config(model: ModelConfig) -> BitsAndBytesConfig | None:
    """
    Say which weights are loaded in 4 or 8 bits: those of the language model that LoRA adapts.

    Args:
        model ([`~trl.ModelConfig`]): Which model, and LoRA's settings.

    Returns:
        [`~transformers.BitsAndBytesConfig`], *optional*: The settings, if the recipe asks for them. Vision tower, head
        and the modules that are trained whole keep their numbers.

    Raises:
        `ValueError`: If weights of few bits would be trained.
        `ImportError`: If bitsandbytes is not installed.
    """
    config = get_quantization_config(model)
    if config is None:
        return None
    if not model.use_peft:
        raise ValueError(
            "`load_in_4bit` and `load_in_8bit` need `use_peft: true`: weights of so few bits do not train"
        )
    if find_spec("bitsandbytes") is None:
        raise ImportError("loading in 4 or 8 bits needs bitsandbytes: pip install 'aesexpert[quantize]'")
    # patterns for whole paths of modules
    config.llm_int8_skip_modules = [f".*{name}" for name in (*_KEPT, *(model.lora_modules_to_save or []))]
    return config
