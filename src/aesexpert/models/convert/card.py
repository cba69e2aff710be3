"""The card of a converted checkpoint: what it was, and what became of its tensors."""

from collections import Counter
from collections.abc import Sequence

from transformers import PreTrainedConfig

from aesexpert.models.convert.plan import Plan


_CARD = """\
---
license: other
library_name: transformers
pipeline_tag: image-text-to-text
---

# {name}

A checkpoint of {original}, converted with `aesexpert convert` to the architecture `{model_type}` of 🤗 Transformers.
The numbers are those of the original; nothing was trained. Its licence is the original's: see there, and write it
into the header of this card before you publish it.

| what | value |
|---|---|
| parameters | {parameters:,} |
| number format | {dtype} |
| tensors written | {written} |
| vocabulary | {rows:,} rows; the picture token is {image_token_id} |
{notes}
{unused}
{usage}"""
_USAGE = """\
## Use

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

processor = AutoProcessor.from_pretrained("{name}"{options})
model = AutoModelForImageTextToText.from_pretrained("{name}"{options})
```
"""


def render_card(
    name: str, original: str, config: PreTrainedConfig, parameters: int, plan: Plan, notes: Sequence[str]
) -> str:
    """
    Write the card.

    Args:
        name (`str`): Name of the new checkpoint's folder.
        original (`str`): Name of the source's folder.
        config (`PreTrainedConfig`): The new configuration.
        parameters (`int`): How many parameters the model has.
        plan (`Plan`): What was written, and what was left over.
        notes (`Sequence[str]`): What the user should know.

    Returns:
        `str`: The card as Markdown with its YAML header.
    """
    options = ", trust_remote_code=True" if getattr(config, "auto_map", None) else ""
    return _CARD.format(
        name=name,
        original=original,
        model_type=config.model_type,
        parameters=parameters,
        dtype=str(config.dtype).removeprefix("torch."),
        written=len(plan.targets),
        rows=config.text_config.vocab_size,
        image_token_id=config.image_token_id,
        notes="".join(f"\n{note[0].upper()}{note[1:]}.\n" for note in notes),
        unused=_unused(plan),
        usage=_USAGE.format(name=name, options=options),
    )


def _unused(plan: Plan) -> str:
    if not plan.unused:
        return "No tensor of the original was left over.\n"
    reasons = Counter(plan.unused.values())
    lines = [
        f"- {reason}: {', '.join(f'`{ascii(n)[1:-1]}`' for n, r in plan.unused.items() if r == reason)}"
        for reason in reasons
    ]
    return f"Tensors of the original that were left over ({len(plan.unused)}):\n\n" + "\n".join(lines) + "\n"
