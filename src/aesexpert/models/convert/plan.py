"""What becomes of each tensor: checked in full before anything is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.weights import TensorInfo


Change: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
# What a source tensor becomes: names of the model's tensors, each with what changes it on the way.
Rename: TypeAlias = Callable[[str], Mapping[str, Change | None]]


@dataclass(frozen=True)
class Target:
    """
    A tensor to write.

    Args:
        name (`str`): Its name in the new checkpoint.
        source (`str`): The source tensor it comes from.
        info (`TensorInfo`): What the source tensor is and where.
        shape (`tuple[int, ...]`): Its shape.
        change (`Callable`, *optional*): What makes it of the source tensor, which it is otherwise.
    """

    name: str
    source: str
    info: TensorInfo
    shape: tuple[int, ...]
    change: Change | None = None


@dataclass
class Plan:
    """
    What is written, and what is not.

    Args:
        targets (`list[Target]`): The tensors to write, in the order of the files they come from.
        unused (`dict[str, str]`): The source tensors that are left over, with the reason.
    """

    targets: list[Target] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)


def make_plan(
    sources: Sequence[tuple[Mapping[str, TensorInfo], Rename]],
    expected: Mapping[str, tuple[int, ...]],
    known_unused: Callable[[str], str | None],
) -> Plan:
    """
    Account for all tensors of the sources and of the model.

    Args:
        sources (`Sequence[tuple[Mapping[str, TensorInfo], Rename]]`):
            Checkpoints by their tensors, each with what its tensors become. An earlier one has precedence.
        expected (`Mapping[str, tuple[int, ...]]`): The shapes of the tensors that the new checkpoint must have.
        known_unused (`Callable`): Tells why a source tensor is not needed, or `None` if it is not known.

    Returns:
        `Plan`: Fills every expected tensor, and names every source tensor that is left over.

    Raises:
        `ConversionError`: If a tensor is missing or has another shape.
    """
    plan, missing_names = Plan(), set(expected)
    for tensors, rename in sources:
        for source, info in sorted(tensors.items(), key=lambda item: (item[1].file, item[0])):
            changes = {name: change for name, change in rename(source).items() if name in missing_names}
            if not changes:
                plan.unused[source] = known_unused(source) or "no part of the model takes it"
            for name, change in changes.items():
                plan.targets.append(_target(name, source, info, expected[name], change))
            missing_names -= changes.keys()
    missing = sorted(missing_names)
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConversionError(f"the source has nothing for the model's {missing[0]!r}{others}; it is not complete")
    return plan


def _target(name: str, source: str, info: TensorInfo, shape: tuple[int, ...], change: Change | None) -> Target:
    found: torch.Tensor | None = torch.empty(info.shape, device="meta")
    if change is not None:
        try:
            found = change(found)
        except (RuntimeError, ValueError, IndexError):  # the shape does not even allow the change
            found = None
    if found is None or tuple(found.shape) != shape:
        raise ConversionError(
            f"{info.file}: {source!r} has the shape {info.shape}, which does not give {shape}, the shape of {name!r} "
            "by config.json"
        )
    return Target(name, source, info, shape, change)
