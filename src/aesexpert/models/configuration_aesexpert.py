"""Configuration of the AesExpert model (section 4.1 and Table 2 of the paper)."""

from typing import Any

from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig


class AesExpertConfig(LlavaConfig):
    """
    Configuration of an [`AesExpertForConditionalGeneration`]: the LLaVA-1.5 design, with any vision tower and any
    language model that the Auto classes know.

    Takes the arguments of [`~transformers.LlavaConfig`], of which it is a subclass that differs in its model type
    alone. [`AesExpertConfig.aesexpert_7b`] and [`AesExpertConfig.aesexpert_13b`] give the paper's two sizes.

    Example:

    ```python
    >>> from aesexpert import AesExpertConfig

    >>> AesExpertConfig.aesexpert_7b().image_seq_length
    576
    ```
    """

    model_type = "aesexpert"

    @classmethod
    def get_config_dict(cls, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read a stock `llava` folder as what it is here: the same architecture under another name."""
        config_dict, kwargs = super().get_config_dict(*args, **kwargs)
        if config_dict.get("model_type") == LlavaConfig.model_type:
            config_dict["model_type"] = cls.model_type
        return config_dict, kwargs

    @classmethod
    def aesexpert_7b(cls, **kwargs: Any) -> "AesExpertConfig":
        """
        The configuration of AesExpert L-7B: CLIP ViT-L/14 at 336 px, a two-layer MLP, Vicuna-v1.5-7B (Table 2).

        Args:
            kwargs (`dict[str, Any]`, *optional*): Fields to override.

        Returns:
            `AesExpertConfig`: 7.06 billion parameters with the tower.
        """
        return cls._llava_1_5(_vicuna(hidden_size=4096, intermediate_size=11008, layers=32, heads=32), **kwargs)

    @classmethod
    def aesexpert_13b(cls, **kwargs: Any) -> "AesExpertConfig":
        """
        The configuration of AesExpert L-13B: CLIP ViT-L/14 at 336 px, a two-layer MLP, Vicuna-v1.5-13B (Table 2).

        Args:
            kwargs (`dict[str, Any]`, *optional*): Fields to override.

        Returns:
            `AesExpertConfig`: 13.35 billion parameters with the tower.
        """
        return cls._llava_1_5(_vicuna(hidden_size=5120, intermediate_size=13824, layers=40, heads=40), **kwargs)

    @classmethod
    def _llava_1_5(cls, text_config: LlamaConfig, **kwargs: Any) -> "AesExpertConfig":
        vision_config = CLIPVisionConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=336,
            patch_size=14,
            projection_dim=768,
        )
        defaults: dict[str, Any] = {"image_token_index": 32000, "image_seq_length": 576, "vision_feature_layer": -2}
        return cls(vision_config=vision_config, text_config=text_config, **{**defaults, **kwargs})


def _vicuna(hidden_size: int, intermediate_size: int, layers: int, heads: int) -> LlamaConfig:
    """Vicuna-v1.5 with LLaVA's picture and padding tokens, its vocabulary padded from 32,002 to a multiple of 64."""
    return LlamaConfig(
        vocab_size=32064,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        pad_token_id=32001,
    )


__all__ = ["AesExpertConfig"]
