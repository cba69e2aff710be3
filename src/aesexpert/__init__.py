"""AesExpert: image aesthetics perception with vision-language models.

Names are imported when they are first touched, so `import aesexpert` loads neither torch nor transformers nor
datasets.
"""

import importlib
from typing import TYPE_CHECKING, Any

from aesexpert._version import __version__


if TYPE_CHECKING:
    from aesexpert.data import AesMMIT
    from aesexpert.models import (
        AesExpertConfig,
        AesExpertForConditionalGeneration,
        AesExpertModel,
        AesExpertOwl2Config,
        AesExpertOwl2ForConditionalGeneration,
        AesExpertOwl2Model,
        AesExpertOwl2Processor,
        AesExpertProcessor,
    )

_HOMES = {
    "AesMMIT": "aesexpert.data",
    "AesExpertConfig": "aesexpert.models",
    "AesExpertModel": "aesexpert.models",
    "AesExpertForConditionalGeneration": "aesexpert.models",
    "AesExpertOwl2Config": "aesexpert.models",
    "AesExpertOwl2ForConditionalGeneration": "aesexpert.models",
    "AesExpertOwl2Model": "aesexpert.models",
    "AesExpertOwl2Processor": "aesexpert.models",
    "AesExpertProcessor": "aesexpert.models",
}

__all__ = [
    "AesExpertConfig",
    "AesExpertForConditionalGeneration",
    "AesExpertModel",
    "AesExpertOwl2Config",
    "AesExpertOwl2ForConditionalGeneration",
    "AesExpertOwl2Model",
    "AesExpertOwl2Processor",
    "AesExpertProcessor",
    "AesMMIT",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
