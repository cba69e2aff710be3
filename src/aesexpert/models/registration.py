"""Makes the Auto classes of this process know AesExpert."""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from aesexpert.models.configuration_aesexpert import AesExpertConfig
from aesexpert.models.configuration_aesexpert_owl2 import AesExpertOwl2Config
from aesexpert.models.modeling_aesexpert import AesExpertForConditionalGeneration, AesExpertModel
from aesexpert.models.modeling_aesexpert_owl2 import AesExpertOwl2ForConditionalGeneration, AesExpertOwl2Model
from aesexpert.models.processing_aesexpert import AesExpertProcessor
from aesexpert.models.processing_aesexpert_owl2 import AesExpertOwl2Processor


def register() -> None:
    """Register configurations, models and processors with the Auto classes; repeated calls change nothing."""
    for config, model, full_model, processor in (
        (AesExpertConfig, AesExpertModel, AesExpertForConditionalGeneration, AesExpertProcessor),
        (AesExpertOwl2Config, AesExpertOwl2Model, AesExpertOwl2ForConditionalGeneration, AesExpertOwl2Processor),
    ):
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModel.register(config, model, exist_ok=True)
        AutoModelForImageTextToText.register(config, full_model, exist_ok=True)
        AutoProcessor.register(config, processor, exist_ok=True)
    # This architecture has no stock class to be saved as, so its code goes along whenever it is saved.
    AesExpertOwl2Config.register_for_auto_class()
    AesExpertOwl2Model.register_for_auto_class()
    AesExpertOwl2ForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")
    AesExpertOwl2Processor.register_for_auto_class()
