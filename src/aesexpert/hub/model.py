"""A trained model as it is published: its files, and a card with data, recipe, curves and AesBench results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from aesexpert.data.card_template import render_card
from aesexpert.hub.checkpoint import CURVES, STATE, WEIGHTS, Checkpoint, read_checkpoint
from aesexpert.hub.errors import HubError
from aesexpert.hub.publication import Publication, check_repo_id
from aesexpert.hub.results import evaluation_results, own_row, read_report, results_table
from aesexpert.hub.templates import MODEL_CARD


_SHOWN_SETTINGS = (
    "dataset_config",
    "dataset_train_split",
    "kinds",
    "max_response_words",
    "instructions_per_picture",
    "shared_prefix",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "projector_learning_rate",
    "lr_scheduler_type",
    "warmup_ratio",
    "warmup_steps",
    "weight_decay",
    "optim",
    "max_length",
    "seed",
    "use_peft",
    "lora_r",
    "lora_alpha",
)
"""The settings of a recipe that the card shows; `recipe.json` beside it has all."""


def model_publication(
    folder: str | Path,
    repo_id: str,
    *,
    licence: str,
    data_sources: Sequence[str],
    base_models: Sequence[str] = (),
    report: str | Path | None = None,
    card_template: str | Path = MODEL_CARD,
) -> Publication:
    """Prepares a model, or a LoRA adapter, for the Hub and checks it.

    Args:
        folder (`str` or `Path`): The folder that training wrote, or any with weights, processor and chat template.
        repo_id (`str`): The repository's name, for the card.
        licence (`str`): The licence's name on the Hub.
        data_sources (`Sequence[str]`): What it was trained on: Hub names of data sets, or descriptions.
        base_models (`Sequence[str]`, *optional*):
            Hub names of the models that it was made from; by default what its recipe started from, if that is one.
        report (`str` or `Path`, *optional*): AesBench results: `report.json` of `aesexpert bench report`.
        card_template (`str` or `Path`, *optional*): The card's Jinja template.

    Returns:
        `Publication`: What `publish` uploads.

    Raises:
        `HubError`: If something is missing, damaged, or names a path of this machine.
        `CardError`: If the template asks for a value that is not there.
    """
    check_repo_id(repo_id)
    if not licence.strip() or not data_sources or not all(map(str.strip, data_sources)):
        raise HubError("a model is published with its licence and its data sources; name both")
    folder = Path(folder)
    for base_model in base_models:
        check_repo_id(base_model)
    base_models = list(base_models) or _recorded_base(folder)
    checkpoint = read_checkpoint(folder, base_models[0] if base_models else None)
    if checkpoint.is_adapter and not base_models:
        raise HubError(f"{folder} is an adapter of a model on this machine; name its base on the Hub, OWNER/NAME")
    results, table = _results(folder, report)
    data = _card_data(checkpoint, repo_id, licence, data_sources, base_models, results)
    card = render_card(
        ModelCard,
        data,
        card_template,
        repo_id=repo_id,
        is_adapter=checkpoint.is_adapter,
        has_code=checkpoint.has_code,
        parameters=checkpoint.parameters,
        base_models=base_models,
        started_from=Path(str(checkpoint.recipe.get("model_name_or_path") or "")).name,
        data_sources=list(data_sources),
        trained_on=checkpoint.recipe.get("dataset_name"),
        settings=_settings(checkpoint.recipe),
        training=_training(folder / STATE),
        curves=CURVES if CURVES in checkpoint.files else None,
        results=table,
    )
    return Publication("model", checkpoint.files, lambda _: card, owns=WEIGHTS)


def _recorded_base(folder: Path) -> list[str]:
    """The model that adapter or recipe name, if it is one of the Hub and no folder here."""
    for file, key in (("adapter_config.json", "base_model_name_or_path"), ("recipe.json", "model_name_or_path")):
        if (folder / file).is_file():
            name = str(json.loads((folder / file).read_text(encoding="utf-8")).get(key) or "")
            if name.count("/") == 1 and not name.startswith(("/", ".", "~")) and not Path(name).exists():
                return [name]
    return []


def _results(folder: Path, report: str | Path | None) -> tuple[list[EvalResult], str | None]:
    if report is None:
        return [], None
    read = read_report(report)
    return evaluation_results(read, own_row(read, folder.resolve().name)), results_table(read)


def _card_data(
    checkpoint: Checkpoint,
    repo_id: str,
    licence: str,
    data_sources: Sequence[str],
    base_models: Sequence[str],
    results: list[EvalResult],
) -> ModelCardData:
    on_the_hub = [source for source in data_sources if _is_repo_id(source)]
    return ModelCardData(
        language="en",
        license=licence,
        library_name="peft" if checkpoint.is_adapter else "transformers",
        pipeline_tag="image-text-to-text",
        tags=["aesexpert", "image-aesthetics", *(["lora"] if checkpoint.is_adapter else [])],
        base_model=list(base_models) or None,
        datasets=on_the_hub or None,
        model_name=repo_id.split("/")[1],
        eval_results=results or None,
    )


def _is_repo_id(name: str) -> bool:
    try:
        check_repo_id(name)
    except HubError:
        return False
    return True


def _settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: recipe[name] for name in _SHOWN_SETTINGS if recipe.get(name) not in (None, "", [])}


def _training(file: Path) -> dict[str, Any]:
    """What the trainer noted: steps, epochs, the last training loss and the last validation loss."""
    if not file.is_file():
        return {}
    state = json.loads(file.read_text(encoding="utf-8"))
    noted: dict[str, Any] = {"optimizer steps": state.get("global_step")}
    for key, name in (("epoch", "epochs"), ("train_loss", "mean training loss"), ("eval_loss", "validation loss")):
        values = [entry[key] for entry in state.get("log_history", []) if key in entry]
        noted[name] = round(values[-1], 4) if values else None
    return {name: value for name, value in noted.items() if value is not None}
