"""Converting the checkpoints of the paper's backbones, in their authors' layout, to models of this library."""

from aesexpert.models.convert.convert import ConversionReport, DType, Family, convert_checkpoint
from aesexpert.models.convert.errors import ConversionError


__all__ = ["ConversionError", "ConversionReport", "DType", "Family", "convert_checkpoint"]
