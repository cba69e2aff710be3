"""`push_to_hub: true`: the trained model on the Hub with its whole card, in one commit at the end."""

from trl import ModelConfig

from aesexpert.hub.model import model_publication
from aesexpert.hub.publication import Destination, check_repo_id, publish
from aesexpert.train.arguments import AesExpertSFTConfig


def destination(training: AesExpertSFTConfig, model: ModelConfig) -> Destination | None:
    """Reads from a recipe where its model goes, before any time is spent on training it.

    Args:
        training ([`AesExpertSFTConfig`]): The recipe's `push_to_hub` and the options that begin with `hub_`.
        model ([`~trl.ModelConfig`]): Whether an adapter is trained.

    Returns:
        [`Destination`], *optional*: Where to; none without `push_to_hub`.

    Raises:
        `ValueError`: If something is missing that the card needs, or the recipe holds a token.
        `HubError`: If a name is not one of the Hub.
    """
    if not training.push_to_hub:
        return None
    if training.hub_token:
        raise ValueError("`hub_token` would lie in files; remove it and log in with `hf auth login`, or set HF_TOKEN")
    for option in ("hub_model_id", "hub_license", "hub_data_sources"):
        if not getattr(training, option):
            raise ValueError(f"`push_to_hub` needs `{option}`; add it to the recipe")
    for base_model in training.hub_base_models or ():
        check_repo_id(base_model)
    if model.use_peft and not training.hub_base_models and str(model.model_name_or_path).count("/") != 1:
        raise ValueError("an adapter is published with the Hub's name of its base model; add `hub_base_models`")
    return Destination(training.hub_model_id, private=training.hub_private_repo is not False)


def publish_model(training: AesExpertSFTConfig, to: Destination) -> str:
    """Publishes the model in the output folder.

    Args:
        training ([`AesExpertSFTConfig`]): What the card says.
        to ([`Destination`]): Where to.

    Returns:
        `str`: The address of the commit.
    """
    publication = model_publication(
        training.output_dir,
        to.repo_id,
        licence=training.hub_license or "",
        data_sources=training.hub_data_sources or (),
        base_models=training.hub_base_models or (),
    )
    return publish(publication, to)
