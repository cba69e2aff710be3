"""Room in the vocabulary for the picture token, which the original checkpoints do not have."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import AddedToken, PreTrainedTokenizerBase

from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.plan import Change
from aesexpert.models.convert.weights import TensorInfo


@dataclass(frozen=True)
class Vocabulary:
    """
    The tokens and rows of the new checkpoint.

    Args:
        image_token_id (`int`): The picture token.
        source_rows (`int`): Rows of the embeddings in the source.
        rows (`int`): Rows of the embeddings in the new checkpoint.
    """

    image_token_id: int
    source_rows: int
    rows: int

    @property
    def change(self) -> Change | None:
        """What makes the new embeddings of the source's, if they grow."""
        return None if self.rows == self.source_rows else self._grow

    def _grow(self, embeddings: torch.Tensor) -> torch.Tensor:
        """
        Add rows that are the mean of the others: scores of such a token are the mean of all scores, so that it is
        never the likeliest.
        """
        if embeddings.shape[0] != self.source_rows:
            raise ValueError(f"{embeddings.shape[0]} rows, expected {self.source_rows}")
        mean = embeddings.mean(dim=0, keepdim=True, dtype=torch.float32).to(embeddings.dtype)
        return torch.cat([embeddings, mean.expand(self.rows - self.source_rows, -1)])


def make_room(
    tokenizer: PreTrainedTokenizerBase | None,
    image_token: str,
    source_rows: int,
    pad_token: str | None = None,
    known_token: int | None = None,
    multiple: int = 1,
) -> Vocabulary:
    """
    Find the picture token, or add it, to the tokenizer if there is one.

    Args:
        tokenizer (`PreTrainedTokenizerBase`, *optional*): The tokenizer; it is changed.
        image_token (`str`): The token as text.
        source_rows (`int`): Rows of the embeddings in the source.
        pad_token (`str`, *optional*): A padding token to add if the tokenizer has none of its own.
        known_token (`int`, *optional*): The picture token by the source's configuration, for want of a tokenizer.
        multiple (`int`, *optional*, defaults to 1): What the number of rows is rounded up to where it grows.

    Returns:
        `Vocabulary`: Its id, and how many rows the embeddings will have.
    """
    if tokenizer is not None:
        tokenizer.add_tokens([_special(image_token)], special_tokens=True)
        if pad_token and tokenizer.pad_token in (None, tokenizer.unk_token, tokenizer.eos_token):
            tokenizer.add_special_tokens({"pad_token": _special(pad_token)})
        image_token_id, needed = tokenizer.convert_tokens_to_ids(image_token), len(tokenizer)
    else:
        image_token_id = source_rows if known_token is None else known_token
        needed = image_token_id + 1
    rows = source_rows if needed <= source_rows else -(-needed // multiple) * multiple
    return Vocabulary(image_token_id, source_rows, rows)


def count_rows(tensors: Mapping[str, TensorInfo], embeddings: str, head: str, declared: int | None) -> int:
    """
    Count the rows of the vocabulary, which some released configurations misstate.

    Args:
        tensors (`Mapping[str, TensorInfo]`): The source.
        embeddings (`str`): Name of the input embeddings.
        head (`str`): Name of the language-modelling head.
        declared (`int`, *optional*): What the configuration says.

    Returns:
        `int`: Rows.

    Raises:
        `ConversionError`: If the two tensors differ, or the embeddings are missing.
    """
    if embeddings not in tensors:
        raise ConversionError(
            "the source has no embeddings of its language model (`embed_tokens`); it is not complete"
        )
    rows = tensors[embeddings].shape[0]
    if head in tensors and tensors[head].shape[0] != rows:
        wrong = embeddings if tensors[head].shape[0] == declared else head
        raise ConversionError(
            f"{tensors[wrong].file}: {wrong!r} has the shape {tensors[wrong].shape}, but {embeddings!r} has {rows} "
            f"rows and {head!r} has {tensors[head].shape[0]}; they must be as many"
        )
    return rows


def _special(token: str) -> AddedToken:
    return AddedToken(token, special=True, normalized=False)
