"""The AesExpert models. Importing this module registers them with transformers' Auto classes."""

from aesexpert.models.checkpoint import CheckpointFormat, save_checkpoint
from aesexpert.models.configuration_aesexpert import AesExpertConfig
from aesexpert.models.configuration_aesexpert_owl2 import AesExpertOwl2Config
from aesexpert.models.modeling_aesexpert import AesExpertForConditionalGeneration, AesExpertModel
from aesexpert.models.modeling_aesexpert_owl2 import AesExpertOwl2ForConditionalGeneration, AesExpertOwl2Model
from aesexpert.models.processing_aesexpert import AesExpertProcessor
from aesexpert.models.processing_aesexpert_owl2 import AesExpertOwl2Processor
from aesexpert.models.registration import register


register()

__all__ = [
    "AesExpertConfig",
    "AesExpertForConditionalGeneration",
    "AesExpertModel",
    "AesExpertOwl2Config",
    "AesExpertOwl2ForConditionalGeneration",
    "AesExpertOwl2Model",
    "AesExpertOwl2Processor",
    "AesExpertProcessor",
    "CheckpointFormat",
    "save_checkpoint",
]
