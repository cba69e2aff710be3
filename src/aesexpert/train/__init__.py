"""Stage 3: tuning a vision-language model on AesMMIT with TRL. Needs the `train` extra."""

try:
    import peft  # noqa: F401
    import trl  # noqa: F401
except ImportError as error:
    raise ImportError("training needs TRL and PEFT: pip install 'aesexpert[train]'") from error

from aesexpert.train.arguments import AesExpertSFTConfig, DataArguments
from aesexpert.train.build import build_trainer
from aesexpert.train.freezing import freeze_vision_tower
from aesexpert.train.instructions import instruction_rows
from aesexpert.train.packing import SharedPrefixCollator
from aesexpert.train.run import train
from aesexpert.train.sampler import InstructionSampler
from aesexpert.train.segments import take_segments
from aesexpert.train.trainer import AesExpertTrainer


__all__ = [
    "AesExpertSFTConfig",
    "AesExpertTrainer",
    "DataArguments",
    "InstructionSampler",
    "SharedPrefixCollator",
    "build_trainer",
    "freeze_vision_tower",
    "instruction_rows",
    "take_segments",
    "train",
]
