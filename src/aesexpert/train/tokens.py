"""The count of trained tokens, kept over a resume."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState


class TokenCount(TrainerCallback, ExportableState):
    """
    Writes the number of tokens seen into every checkpoint and takes it up again: TRL's own count begins anew.

    Args:
        tokens (`int`, *optional*, defaults to 0): Tokens seen so far, padding not among them.
    """

    def __init__(self, tokens: int = 0) -> None:
        self.tokens = tokens

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"args": {"tokens": self.tokens}, "attributes": {}}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Go on from the count of the checkpoint, if training goes on from one."""
        self.tokens = state.stateful_callbacks[type(self).__name__]["args"]["tokens"]
