"""Makes the Auto classes of this process know AesExpert."""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from aesexpert.models.configuration_aesexpert import AesExpertConfig
from aesexpert.models.modeling_aesexpert import AesExpertForConditionalGeneration, AesExpertModel
from aesexpert.models.processing_aesexpert import AesExpertProcessor


def register() -> None:
    """Register configuration, models and processor with the Auto classes; repeated calls change nothing."""
    AutoConfig.register(AesExpertConfig.model_type, AesExpertConfig, exist_ok=True)
    AutoModel.register(AesExpertConfig, AesExpertModel, exist_ok=True)
    AutoModelForImageTextToText.register(AesExpertConfig, AesExpertForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(AesExpertConfig, AesExpertProcessor, exist_ok=True)
