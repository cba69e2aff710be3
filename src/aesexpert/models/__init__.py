"""The AesExpert models. Importing this module registers them with transformers' Auto classes."""

from aesexpert.models.checkpoint import CheckpointFormat, save_checkpoint
from aesexpert.models.configuration_aesexpert import AesExpertConfig
from aesexpert.models.modeling_aesexpert import AesExpertForConditionalGeneration, AesExpertModel
from aesexpert.models.processing_aesexpert import AesExpertProcessor
from aesexpert.models.registration import register


register()

__all__ = [
    "AesExpertConfig",
    "AesExpertForConditionalGeneration",
    "AesExpertModel",
    "AesExpertProcessor",
    "CheckpointFormat",
    "save_checkpoint",
]
