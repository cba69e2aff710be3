"""Configuration of AesExpert on mPLUG-Owl2 (section 4.1 and Table 2 of the paper; mPLUG-Owl2: arXiv 2311.04257)."""

from typing import Any

from transformers import AutoConfig, CLIPVisionConfig, LlamaConfig, PreTrainedConfig


# Saved models carry their code: what each Auto class finds in it.
_AUTO_MAP = {
    "AutoConfig": "configuration_aesexpert_owl2.AesExpertOwl2Config",
    "AutoModel": "modeling_aesexpert_owl2.AesExpertOwl2Model",
    "AutoModelForImageTextToText": "modeling_aesexpert_owl2.AesExpertOwl2ForConditionalGeneration",
}


class AesExpertOwl2AbstractorConfig(PreTrainedConfig):
    """
    Configuration of the visual abstractor: learnable queries that read the picture by cross-attention.

    Its width is the vision tower's.

    Args:
        hidden_size (`int`, *optional*, defaults to 1024): Width of queries and picture tokens.
        intermediate_size (`int`, *optional*, defaults to 2816): Width of the gated feed-forward layers.
        num_hidden_layers (`int`, *optional*, defaults to 6): Number of layers.
        num_attention_heads (`int`, *optional*, defaults to 16): Number of heads.
        num_queries (`int`, *optional*, defaults to 64): Number of learnable queries.
        grid_size (`int`, *optional*, defaults to 32): Patches along a side of the picture.
        layer_norm_eps (`float`, *optional*, defaults to 1e-6): Epsilon of the norm inside the feed-forward layers.
        attention_dropout (`float`, *optional*, defaults to 0.0): Dropout of the attention weights.
        initializer_range (`float`, *optional*, defaults to 0.02): Deviation of fresh weights.
    """

    model_type = "aesexpert_owl2_abstractor"
    base_config_key = "abstractor_config"

    hidden_size: int = 1024
    intermediate_size: int = 2816
    num_hidden_layers: int = 6
    num_attention_heads: int = 16
    num_queries: int = 64
    grid_size: int = 32
    layer_norm_eps: float = 1e-6
    attention_dropout: float = 0.0
    initializer_range: float = 0.02


class AesExpertOwl2TextConfig(LlamaConfig):
    """
    Configuration of the language model: LLaMA-2 whose norms, keys and values have weights for text and for pictures.

    Takes the arguments of [`~transformers.LlamaConfig`].
    """

    model_type = "aesexpert_owl2_text"
    base_config_key = "text_config"


class AesExpertOwl2Config(PreTrainedConfig):
    """
    Configuration of an [`AesExpertOwl2ForConditionalGeneration`].

    Args:
        vision_config (`dict` or `PreTrainedConfig`, *optional*):
            The vision tower, by default CLIP ViT-L/14 at 448 px with mPLUG-Owl2's epsilon of 1e-6.
        abstractor_config (`dict` or [`AesExpertOwl2AbstractorConfig`], *optional*): The visual abstractor.
        text_config (`dict` or [`AesExpertOwl2TextConfig`], *optional*):
            The language model, by default LLaMA-2-7B with one more row in its vocabulary, for the picture token.
        image_token_id (`int`, *optional*, defaults to 32000): The token that stands for each vector of a picture.
        tie_word_embeddings (`bool`, *optional*, defaults to `False`): Whether input and output embeddings are one.

    Example:

    ```python
    >>> from aesexpert import AesExpertOwl2Config

    >>> AesExpertOwl2Config().image_seq_length
    65
    ```
    """

    model_type = "aesexpert_owl2"
    sub_configs = {
        "vision_config": AutoConfig,
        "abstractor_config": AesExpertOwl2AbstractorConfig,
        "text_config": AesExpertOwl2TextConfig,
    }

    vision_config: Any = None
    abstractor_config: Any = None
    text_config: Any = None
    image_token_id: int = 32000
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        self.vision_config = _vision_config(self.vision_config)
        if not isinstance(self.abstractor_config, PreTrainedConfig):
            self.abstractor_config = AesExpertOwl2AbstractorConfig(**(self.abstractor_config or {}))
        if not isinstance(self.text_config, PreTrainedConfig):
            self.text_config = AesExpertOwl2TextConfig(**(self.text_config or _llama_2_7b()))
        super().__post_init__(**kwargs)
        self.auto_map = dict(_AUTO_MAP)

    @property
    def image_seq_length(self) -> int:
        """How many positions a picture takes: one a query, and one that ends it."""
        return self.abstractor_config.num_queries + 1


def _vision_config(config: dict[str, Any] | PreTrainedConfig | None) -> PreTrainedConfig:
    if isinstance(config, PreTrainedConfig):
        return config
    if config:
        return AutoConfig.for_model(**{"model_type": CLIPVisionConfig.model_type, **config})
    return CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=448,
        patch_size=14,
        projection_dim=768,
        layer_norm_eps=1e-6,
    )


def _llama_2_7b() -> dict[str, Any]:
    return {"vocab_size": 32001, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "pad_token_id": 0}


__all__ = ["AesExpertOwl2AbstractorConfig", "AesExpertOwl2Config", "AesExpertOwl2TextConfig"]
