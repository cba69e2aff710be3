"""From a recipe to a trainer."""

from pathlib import Path

from datasets import Dataset, load_dataset
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin
from trl import ModelConfig, get_peft_config

from aesexpert.train.arguments import AesExpertSFTConfig, DataArguments
from aesexpert.train.checks import check_packing, check_placeholders, check_texts
from aesexpert.train.curves import CurvesCallback
from aesexpert.train.freezing import freeze_vision_tower
from aesexpert.train.instructions import instruction_rows
from aesexpert.train.packing import SharedPrefixCollator
from aesexpert.train.quantization import quantization_config
from aesexpert.train.segments import take_segments
from aesexpert.train.trainer import AesExpertTrainer


def build_trainer(data: DataArguments, training: AesExpertSFTConfig, model: ModelConfig) -> AesExpertTrainer:
    """
    Build the trainer of a recipe: vision tower frozen, projector and language model trained, or LoRA (section 4.2).

    Args:
        data ([`DataArguments`]): Which instructions.
        training ([`AesExpertSFTConfig`]): How to train.
        model ([`~trl.ModelConfig`]): Which model, and LoRA's settings.

    Returns:
        [`AesExpertTrainer`]: A [`~trl.SFTTrainer`] ready to `train()`.

    Raises:
        `FileNotFoundError`: If the model or the data is not there.
        `ValueError`: If model, processor and data do not fit each other.
    """
    processor = _load_processor(model)
    network = _load_model(model)
    freeze_vision_tower(network)
    train = _load_split(data, data.dataset_train_split, processor)
    validation = _load_split(data, data.dataset_test_split, processor) if training.eval_strategy != "no" else None
    trainer = AesExpertTrainer(
        model=network,
        args=training,
        data_collator=_collator(training, processor),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=processor,
        peft_config=get_peft_config(model),
        callbacks=[CurvesCallback()],
    )
    check_placeholders(network, processor, trainer.data_collator([train[0]]), training.max_length)
    if training.shared_prefix:
        take_segments(trainer.model)
        if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):  # the weights are not whole yet
            check_packing(trainer.model, trainer.data_collator, [train[i] for i in range(min(2, len(train)))])
    return trainer


def _collator(training: AesExpertSFTConfig, processor: ProcessorMixin) -> SharedPrefixCollator | None:
    """The collator of a data path; TRL's own for one instruction a sequence."""
    if not training.shared_prefix:
        return None
    return SharedPrefixCollator(processor, training.max_length, training.drop_long_instructions)


def _load_processor(model: ModelConfig) -> ProcessorMixin:
    name = model.model_name_or_path
    if name is None:
        raise ValueError(
            "`model_name_or_path` is missing: name a folder or a Hub id in the recipe or on the command line"
        )
    if "/" not in name and not Path(name).is_dir():
        raise FileNotFoundError(
            f"there is no folder {name!r} here; `make demo` makes the demo's, a model on the Hub is OWNER/NAME"
        )
    try:
        processor = AutoProcessor.from_pretrained(name, revision=model.model_revision)
    except OSError as error:
        raise ValueError(f"no processor in {name!r}: expected `processor_config.json` beside the weights") from error
    if not isinstance(processor, ProcessorMixin):
        raise ValueError(f"{name!r} reads text alone: expected the processor of an image-text-to-text model")
    if processor.chat_template is None:
        raise ValueError(f"the processor of {name!r} has no chat template; expected `chat_template.jinja` beside it")
    return processor


def _load_model(model: ModelConfig) -> PreTrainedModel:
    return AutoModelForImageTextToText.from_pretrained(
        model.model_name_or_path,
        revision=model.model_revision,
        dtype=model.dtype,
        attn_implementation=model.attn_implementation,
        quantization_config=quantization_config(model),
    )


def _load_split(data: DataArguments, split: str, processor: ProcessorMixin) -> Dataset:
    name = data.dataset_name
    if "/" not in name and not Path(name).is_dir():
        raise FileNotFoundError(f"there is no folder {name!r} here; `make demo` or `build_aesmmit.py` makes it")
    pictures = load_dataset(name, data.dataset_config or "instructions", split=split)
    check_texts(pictures, processor.image_token)
    return instruction_rows(pictures, data.kinds, data.max_response_words)
