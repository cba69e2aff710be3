"""What a recipe can say, on top of TRL's own arguments."""

from dataclasses import dataclass, field
from typing import Any

import torch
from trl import ScriptArguments, SFTConfig

from aesexpert.taxonomy import InstructionKind


PACKINGS = ["shared", "one"]


@dataclass
class DataArguments(ScriptArguments):
    """
    Which instructions to train on.

    Args:
        dataset_name (`str`, *optional*, defaults to `"aesmmit"`):
            Folder or Hub id of AesMMIT, read in its `instructions` configuration.
        dataset_test_split (`str`, *optional*, defaults to `"validation"`):
            The split whose loss is measured during training.
        kinds (`list[str]`, *optional*):
            Train on these kinds of instruction alone: `"description"`, `"vqa"`. All of them by default.
        max_response_words (`int`, *optional*):
            Train on instructions with responses of so many words at most. A step's loss is a mean over tokens, so in a
            run of minutes long responses drown short ones.
    """

    dataset_name: str = field(default="aesmmit", metadata={"help": "Folder or Hub id of AesMMIT."})
    dataset_test_split: str = field(
        default="validation", metadata={"help": "The split whose loss is measured during training."}
    )
    kinds: list[str] | None = field(
        default=None,
        metadata={"help": "Train on these kinds of instruction alone.", "choices": [str(k) for k in InstructionKind]},
    )
    max_response_words: int | None = field(
        default=None, metadata={"help": "Train on responses of so many words at most (default: all)."}
    )


@dataclass
class AesExpertSFTConfig(SFTConfig):
    """
    TRL's [`~trl.SFTConfig`] with what the paper's third stage needs.

    Args:
        packing (`str`, *optional*, defaults to `"shared"`):
            The data path. `"shared"` lays the instructions of a picture behind one copy of it; `"one"` trains on one
            instruction a sequence, as TRL does. Loss and gradients of a batch are the same. Takes the place of TRL's
            own option, which does not know pictures.
        instructions_per_picture (`int`, *optional*):
            How many of a picture's instructions follow each other: a visit. Fewer mix a batch better, more share more
            work, and most is shared where they divide the batch. By default all of them, as far as a batch has room,
            with `packing: shared`, and one, so that rows are mixed, with `packing: one`.
        drop_long_instructions (`bool`, *optional*, defaults to `False`):
            Whether `packing: shared` leaves out instructions that `max_length` does not hold, instead of cutting the
            end of their response.
        versions_together (`bool`, *optional*, defaults to `False`):
            Whether a picture and its damaged copies are asked the same question one after the other, so that a batch
            compares versions of one picture. Visits are mixed by default.
        projector_learning_rate (`float`, *optional*):
            Learning rate of the projector. That of the language model, `learning_rate`, by default.
        checkpoint_format (`str`, *optional*, defaults to `"llava"`):
            How the trained model is written: `"llava"`, the stock format, or `"aesexpert"`, the registered type with
            its code. Models of other designs are always written in their own format.
        hub_license (`str`, *optional*):
            The model's licence by its name on the Hub. `push_to_hub` needs it.
        hub_data_sources (`list[str]`, *optional*):
            What the model was trained on, names on the Hub or descriptions. `push_to_hub` needs it.
        hub_base_models (`list[str]`, *optional*):
            The Hub's names of the models it was made from, by default `model_name_or_path` if that is one.

    `per_device_train_batch_size` counts instructions on both data paths. With `push_to_hub`, what training wrote is
    published once, at its end, with the whole card; `hub_model_id` is `OWNER/NAME`, and a new repository is private.

    Defaults that differ from TRL's: `max_length` is None, since cutting a sequence may cut picture tokens;
    `remove_unused_columns` is False, since rows are made when they are read; on a machine without accelerator the
    run uses the CPU, in bf16 where the CPU computes in it.
    """

    packing: str = field(
        default="shared",
        metadata={"help": "Instructions behind one copy of their picture, or one a sequence.", "choices": PACKINGS},
    )
    instructions_per_picture: int | None = field(
        default=None,
        metadata={"help": "How many of a picture's instructions follow each other (default: all, or one unshared)."},
    )
    drop_long_instructions: bool = field(
        default=False, metadata={"help": "Leave out what `max_length` does not hold instead of cutting it."}
    )
    versions_together: bool = field(
        default=False,
        metadata={"help": "Whether a batch compares versions of one picture (default: visits are mixed)."},
    )
    projector_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the projector (default: `learning_rate`)."}
    )
    checkpoint_format: str = field(
        default="llava",
        metadata={"help": "How the trained model is written.", "choices": ["llava", "aesexpert"]},
    )
    max_length: int | None = field(
        default=None, metadata={"help": "Longest sequence in tokens; longer ones lose the end of their response."}
    )
    bf16: bool | None = field(
        default=None, metadata={"help": "Compute in bf16 (default: where the machine does so natively)."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "Rows are made when they are read."})
    hub_license: str | None = field(default=None, metadata={"help": "The model's licence by its name on the Hub."})
    hub_data_sources: list[str] | None = field(
        default=None, metadata={"help": "What the model was trained on: names on the Hub, or descriptions."}
    )
    hub_base_models: list[str] | None = field(
        default=None, metadata={"help": "Names on the Hub of the models it was made from (default: the recipe's)."}
    )
    shared_prefix: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        if self.packing not in PACKINGS:
            raise ValueError(f"`packing` is {self.packing!r}, expected one of {', '.join(PACKINGS)}")
        # TRL refuses every packing of pictures, its own being of another kind
        self.shared_prefix = self.packing == "shared"
        self.packing = False  # type: ignore[assignment]
        if self.instructions_per_picture is not None and self.instructions_per_picture < 1:
            raise ValueError(
                f"`instructions_per_picture` is {self.instructions_per_picture}, expected a number from 1 on; "
                "leave it out to train on all of a picture's instructions"
            )
        if not torch.accelerator.is_available():
            self.use_cpu = True
        if self.use_cpu and self.bf16 is None:
            self.bf16 = _cpu_computes_in_bf16()
        super().__post_init__()


def _cpu_computes_in_bf16() -> bool:
    """Without these instructions bfloat16 is emulated, tens of times slower than float32."""
    capabilities: dict[str, Any] = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
