"""
AesExpert on mPLUG-Owl2 (section 4.1 and Table 2 of the paper): a CLIP vision tower, a visual abstractor, and LLaMA-2
whose norms, keys and values have weights of their own for text and for pictures (mPLUG-Owl2: arXiv 2311.04257).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, Cache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_aesexpert_owl2 import AesExpertOwl2Config
from .modeling_aesexpert_owl2_abstractor import AesExpertOwl2Abstractor
from .modeling_aesexpert_owl2_text import AesExpertOwl2TextModel, ModalityPositions
from .modeling_segments import segment_mask, segment_positions


class AesExpertOwl2PreTrainedModel(PreTrainedModel):
    """What the two models of this architecture share."""

    config_class = AesExpertOwl2Config
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _no_split_modules = ["AesExpertOwl2DecoderLayer", "AesExpertOwl2AbstractorLayer", "CLIPEncoderLayer"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True


@dataclass
class AesExpertOwl2ModelOutputWithPast(BaseModelOutputWithPast):
    """
    Outputs of [`AesExpertOwl2Model`]: those of a language model, and what it read of the pictures.

    Args:
        image_hidden_states (`torch.Tensor` of shape `(pictures, queries + 1, hidden_size)`, *optional*):
            The vectors that stand for the pictures.
    """

    image_hidden_states: torch.Tensor | None = None


@dataclass
class AesExpertOwl2CausalLMOutputWithPast(ModelOutput):
    """
    Outputs of [`AesExpertOwl2ForConditionalGeneration`].

    Args:
        loss (`torch.Tensor`, *optional*): Mean cross-entropy of the labels, in nats a token.
        logits (`torch.Tensor` of shape `(batch, length, vocab_size)`): Scores of the next token.
        past_key_values (`Cache`, *optional*): Keys and values of the positions so far.
        hidden_states (`tuple[torch.Tensor]`, *optional*): Of the embeddings and of each layer.
        attentions (`tuple[torch.Tensor]`, *optional*): Attention weights of each layer.
        image_hidden_states (`torch.Tensor`, *optional*): The vectors that stand for the pictures.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None
    image_hidden_states: torch.Tensor | None = None


class AesExpertOwl2Model(AesExpertOwl2PreTrainedModel):
    """
    AesExpert on mPLUG-Owl2 without its language-modelling head.

    Args:
        config ([`AesExpertOwl2Config`]): The architecture of the three parts.
    """

    def __init__(self, config: AesExpertOwl2Config) -> None:
        super().__init__(config)
        self.vision_tower = AutoModel.from_config(config.vision_config)
        self.visual_abstractor = AesExpertOwl2Abstractor(config.abstractor_config, config.text_config.hidden_size)
        self.language_model = AesExpertOwl2TextModel(config.text_config)
        self.post_init()

    @can_return_tuple
    def get_image_features(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """
        Encode pictures.

        Args:
            pixel_values (`torch.Tensor` of shape `(pictures, 3, height, width)`): The pictures, as the processor
                gives them.
            kwargs (`dict[str, Any]`, *optional*): For the vision tower.

        Returns:
            [`~transformers.modeling_outputs.BaseModelOutputWithPooling`]: The tower's outputs, and as `pooler_output`
            a tensor of shape `(queries + 1, hidden_size)` for each picture.
        """
        outputs = self.vision_tower(pixel_values.to(self.vision_tower.dtype), return_dict=True, **kwargs)
        # the original norms all tokens of the last layer, not the class token alone
        states = self.vision_tower.post_layernorm(outputs.last_hidden_state)
        outputs.pooler_output = list(self.visual_abstractor(states))
        return outputs

    def get_image_mask(self, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor) -> torch.Tensor:
        """
        Tell which positions belong to pictures.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*): The tokens; by default the
                embeddings are compared with the picture token's.
            inputs_embeds (`torch.Tensor` of shape `(batch, length, hidden_size)`): The embeddings of all tokens.

        Returns:
            `torch.BoolTensor` of shape `(batch, length)`: Whether a position is a picture's.
        """
        if input_ids is not None:
            return input_ids == self.config.image_token_id
        token = torch.tensor(self.config.image_token_id, device=inputs_embeds.device)
        return (inputs_embeds == self.get_input_embeddings()(token)).all(-1)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        segment_ids: torch.LongTensor | None = None,
        **kwargs: Any,
    ) -> AesExpertOwl2ModelOutputWithPast:
        """
        Read pictures and text.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*): The tokens, with as many picture
                tokens for each picture as it has vectors.
            pixel_values (`torch.Tensor` of shape `(pictures, 3, height, width)`, *optional*): The pictures, in the
                order of their tokens.
            attention_mask (`torch.Tensor` of shape `(batch, length)`, *optional*): 0 for padding.
            position_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*): Positions, counted from 0.
            past_key_values (`Cache`, *optional*): Keys and values of earlier positions.
            inputs_embeds (`torch.Tensor` of shape `(batch, length, hidden_size)`, *optional*): In place of
                `input_ids`.
            mm_encoder_outputs (`dict[str, BaseModelOutputWithPooling]`, *optional*): What
                [`~AesExpertOwl2Model.get_image_features`] gave, under the key `"image"`, in place of `pixel_values`.
            segment_ids (`torch.LongTensor` of shape `(batch, length)`, *optional*): Of packed rows: 0 for the prefix
                that all segments see, k > 0 for the k-th segment, -1 for padding. Takes the place of
                `attention_mask`, and of `position_ids` where they are not given.
            kwargs (`dict[str, Any]`, *optional*): For the language model.

        Returns:
            [`AesExpertOwl2ModelOutputWithPast`]: The last hidden states of shape `(batch, length, hidden_size)`.

        Raises:
            `ValueError`: If there is not exactly one of `input_ids` and `inputs_embeds`, or if the tokens do not fit
                the pictures.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected exactly one of `input_ids` and `inputs_embeds`")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        encoded = (mm_encoder_outputs or {}).get("image")
        if encoded is None and pixel_values is not None:
            encoded = self.get_image_features(pixel_values, return_dict=True)
        image_features = modality = None
        if encoded is not None:
            image_features = torch.stack(encoded.pooler_output).to(inputs_embeds)
            is_image = self.get_image_mask(input_ids, inputs_embeds)
            inputs_embeds = _put_images(inputs_embeds, is_image, image_features)
            modality = ModalityPositions.of(is_image)
        if segment_ids is not None:
            attention_mask = segment_mask(segment_ids, self.config.text_config, inputs_embeds.dtype)
            position_ids = segment_positions(segment_ids) if position_ids is None else position_ids
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            modality=modality,
            **kwargs,
        )
        return AesExpertOwl2ModelOutputWithPast(**outputs, image_hidden_states=image_features)


class AesExpertOwl2ForConditionalGeneration(AesExpertOwl2PreTrainedModel, GenerationMixin):
    """
    AesExpert on mPLUG-Owl2 with its language-modelling head: reads pictures and text, writes text.

    Args:
        config ([`AesExpertOwl2Config`]): The architecture of the three parts.

    Example:

    ```python
    >>> from aesexpert import AesExpertOwl2ForConditionalGeneration

    >>> model = AesExpertOwl2ForConditionalGeneration.from_pretrained("aesexpert-owl2")
    ```
    """

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}

    def __init__(self, config: AesExpertOwl2Config) -> None:
        super().__init__(config)
        self.model = AesExpertOwl2Model(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_image_features(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """See [`AesExpertOwl2Model.get_image_features`]."""
        return self.model.get_image_features(pixel_values, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,
    ) -> AesExpertOwl2CausalLMOutputWithPast:
        """
        Read pictures and text, and score the next tokens.

        The arguments are those of [`AesExpertOwl2Model.forward`], and:

        Args:
            labels (`torch.LongTensor` of shape `(batch, length)`, *optional*): The tokens to predict, -100 where
                there is none.
            logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0): How many last positions to score, or
                which ones; 0 means all.

        Returns:
            [`AesExpertOwl2CausalLMOutputWithPast`]: Logits of shape `(batch, length, vocab_size)`. The picture token
            is never predicted: it stands for vectors and has no meaning of its own.
        """
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            mm_encoder_outputs=mm_encoder_outputs,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        logits[..., self.config.image_token_id] = torch.finfo(logits.dtype).min
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1], **kwargs)
        return AesExpertOwl2CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=outputs.image_hidden_states,
        )


def _put_images(embeds: torch.Tensor, is_image: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    tokens, vectors = int(is_image.sum()), features.shape[:2].numel()
    if tokens != vectors:
        raise ValueError(
            f"the text has {tokens} picture tokens, but the pictures have {vectors} vectors, {features.shape[1]} each"
        )
    return embeds.masked_scatter(is_image.unsqueeze(-1), features)


__all__ = ["AesExpertOwl2ForConditionalGeneration", "AesExpertOwl2Model", "AesExpertOwl2PreTrainedModel"]
