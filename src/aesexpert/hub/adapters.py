"""Merging a LoRA adapter into the model below it."""

import shutil
from pathlib import Path

from aesexpert.hub.checkpoint import ADAPTER_CONFIG, CURVES, RECIPE, STATE
from aesexpert.hub.errors import HubError


def merge_adapter(folder: str | Path, out: str | Path) -> Path:
    """Writes an adapter and the model below it as one model, with processor, recipe and curves.

    Args:
        folder (`str` or `Path`): The adapter's folder, as training wrote it.
        out (`str` or `Path`): Where to write.

    Returns:
        `Path`: `out`.

    Raises:
        `HubError`: If the folder is no adapter, peft is missing, or the model below is not there.
    """
    folder, out = Path(folder), Path(out)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise HubError(f"{folder} is no adapter (it has no {ADAPTER_CONFIG}), so there is nothing to merge")
    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise HubError("merging an adapter needs peft: pip install 'aesexpert[train]'") from error
    from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

    from aesexpert.models import save_checkpoint

    base = str(PeftConfig.from_pretrained(str(folder)).base_model_name_or_path)
    try:
        network = AutoModelForImageTextToText.from_pretrained(base)
    except OSError as error:
        raise HubError(f"the model below the adapter, {base}, cannot be loaded; {ADAPTER_CONFIG} names it") from error
    network = PeftModel.from_pretrained(network, str(folder)).merge_and_unload()
    processor = AutoProcessor.from_pretrained(str(folder))
    if isinstance(network, LlavaForConditionalGeneration):
        save_checkpoint(network, processor, out)
    else:
        network.save_pretrained(out)
        processor.save_pretrained(out)
    for name in (RECIPE, CURVES, STATE):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    return out
