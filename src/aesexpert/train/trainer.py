"""TRL's SFTTrainer for AesMMIT: two learning rates, draws of instructions, exact resumption."""

from functools import partial
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel
from trl import SFTTrainer

from aesexpert.train.freezing import projector_parameters
from aesexpert.train.head import score_labelled_positions
from aesexpert.train.sampler import InstructionSampler
from aesexpert.train.tokens import TokenCount


class AesExpertTrainer(SFTTrainer):
    """
    A [`~trl.SFTTrainer`] whose rows are AesMMIT's instructions (sections 3.3 and 4.2 of the paper).

    Takes the arguments of [`~trl.SFTTrainer`]; `args` is an [`AesExpertSFTConfig`] and `train_dataset` comes from
    [`instruction_rows`]. [`build_trainer`] makes one from a recipe.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(TokenCount())

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> InstructionSampler:
        rows = (train_dataset or self.train_dataset).with_format(None)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        together = self.args.versions_together
        return InstructionSampler(
            rows["picture"][:],  # lists: a column reads its file anew for every entry
            self.args.per_device_train_batch_size,
            self.args.instructions_per_picture or (None if self.args.shared_prefix else 1),
            groups=rows["original"][:] if together else None,
            questions=rows["question"][:] if together else None,
            seed=seed,
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Give the projector a learning rate of its own, if the recipe names one."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(model)
        if fresh and self.args.projector_learning_rate is not None:
            _split_off(optimizer, projector_parameters(self.model), lr=self.args.projector_learning_rate)
        return optimizer

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss and metrics; without an accelerator, from the labelled positions alone."""
        count = next(callback for callback in self.callback_handler.callbacks if isinstance(callback, TokenCount))
        self._total_train_tokens = count.tokens
        if self.args.device.type == "cpu":
            head = self.accelerator.unwrap_model(model).get_output_embeddings()
            model = partial(_without_fused_kernel, model, head)
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        count.tokens = self._total_train_tokens
        return loss

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        # The Trainer restores tensors by the names in the file, which for some towers are older ones, and passes
        # over those it does not find; `from_pretrained` knows both.
        if isinstance(self.model, PreTrainedModel) and not self.is_fsdp_enabled:
            restored = type(self.model).from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
            self.model.load_state_dict(restored.state_dict())
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)


def _without_fused_kernel(model: nn.Module, head: nn.Module, fused_lm_head: bool = False, **inputs: Any) -> Any:
    """Answer as TRL's fused head does, which scores every position where it has no kernel for the device."""
    return score_labelled_positions(model, head, **inputs) if fused_lm_head else model(**inputs)


def _split_off(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], lr: float) -> None:
    """Move `parameters` to groups of their own, which keep everything but the learning rate."""
    moved = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        own = [p for p in group["params"] if id(p) in moved]
        if own:
            group["params"] = [p for p in group["params"] if id(p) not in moved]
            optimizer.add_param_group({**group, "params": own, "lr": lr})
