"""Assemble the demo's starting model: DINOv2 ViT-S/14, a projector, SmolLM2-135M-Instruct.

    python recipes/start/assemble.py            # reads aesmmit/, writes aesexpert-start/

The projector is fitted in closed form, in the place of LLaVA's first stage: behind a random layer, least squares maps
the tokens of a training picture to the words that are said of it. Before that layer the features are whitened, since
the tower's raw channels differ in scale by orders of magnitude and most of them say the same.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from dinov2 import load_dinov2
from smollm2 import load_smollm2
from transformers import (
    BitImageProcessorPil,
    GenerationConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerBase,
)

from aesexpert.data.folders import new_folder
from aesexpert.models import save_checkpoint


# The paper's tower looks at whole pictures at 336 px in 576 tokens. The demo has two cores and minutes: it looks at
# the middle of a picture, large enough that grain and blur are seen, in 25 tokens and the tower's class token.
SHORTEST_EDGE, CROP, PATCH = 160, 70, 14
TOKENS = (CROP // PATCH) ** 2 + 1
FEATURE_LAYER = 6  # of 12: a linear probe on the class token names flaws best here, and not at all at the paper's -2
SHRINKAGE = 0.01  # of the mean variance: keeps noise in directions that hardly vary from being blown up
PENALTY = 0.1  # of the mean variance, on the squared weights of the second layer
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", type=Path, default=Path("aesmmit"), help="AesMMIT, which the projector is fitted to"
    )
    parser.add_argument("--out", type=Path, default=Path("aesexpert-start"))
    parser.add_argument("--seed", type=int, default=0, help="seed of all random weights")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    language_model, tokenizer = load_smollm2()
    processor = build_processor(tokenizer)
    model = build_model(language_model, processor)
    pictures = load_dataset(str(args.dataset), split="train")
    features = tower_features(
        model, processor.image_processor(pictures["image"][:], return_tensors="pt")["pixel_values"]
    )
    align_projector(model, features, mean_embeddings(model, processor.tokenizer, pictures["instructions"][:]))
    with new_folder(args.out, _is_model) as folder:
        save_checkpoint(model, processor, folder)
    print(f"wrote {args.out}: {model.num_parameters() / 1e6:.0f} million parameters")


def _is_model(folder: Path) -> bool:
    return {"config.json", "processor_config.json", "model.safetensors"} <= {file.name for file in folder.iterdir()}


def build_processor(tokenizer: PreTrainedTokenizerBase) -> LlavaProcessor:
    """The processor: pictures cropped from the middle, ChatML conversations with a picture token."""
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image_processor = BitImageProcessorPil(
        size={"shortest_edge": SHORTEST_EDGE},
        crop_size={"height": CROP, "width": CROP},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE.read_text(),
    )


def build_model(language_model: LlamaForCausalLM, processor: LlavaProcessor) -> LlavaForConditionalGeneration:
    """The three parts as one stock Llava model."""
    tower = load_dinov2()
    language_model.resize_token_embeddings(len(processor.tokenizer), pad_to_multiple_of=64, mean_resizing=False)
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=language_model.config,
        image_token_index=processor.image_token_id,
        image_seq_length=TOKENS,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="full",
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language_model.model.state_dict())
    model.tie_weights()
    model.generation_config = GenerationConfig.from_model_config(language_model.config)
    return model.eval()


@torch.no_grad()
def align_projector(model: LlavaForConditionalGeneration, features: torch.Tensor, targets: torch.Tensor) -> None:
    """Make the tokens of each picture, `(pictures, tokens, channels)`, like its target, `(pictures, hidden size)`."""
    projector, embeddings = model.model.multi_modal_projector, model.get_input_embeddings().weight
    first, second = projector.linear_1, projector.linear_2
    tokens = features.flatten(0, 1)
    torch.nn.init.normal_(first.weight, std=first.in_features**-0.5)
    first.weight.copy_(first.weight @ whitening(tokens))
    first.bias.copy_(-first.weight @ tokens.mean(dim=0))
    hidden = projector.act(first(tokens))
    center = hidden.mean(dim=0)
    weight = ridge_regression(hidden, targets.repeat_interleave(features.shape[1], dim=0))
    weight *= embeddings.std() / ((hidden - center) @ weight).std()  # the spread of word embeddings
    second.weight.copy_(weight.T)
    second.bias.copy_(-center @ weight)


@torch.no_grad()
def tower_features(model: LlavaForConditionalGeneration, pixel_values: torch.Tensor) -> torch.Tensor:
    """What the projector is given for each picture, of shape `(pictures, tokens, channels)`."""
    return model.model.vision_tower(pixel_values, output_hidden_states=True).hidden_states[FEATURE_LAYER]


@torch.no_grad()
def mean_embeddings(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    instructions: Sequence[Sequence[Mapping[str, Any]]],
) -> torch.Tensor:
    """The mean embedding of what is said of each picture, of shape `(pictures, hidden size)`. Letters say nothing."""
    embeddings = model.get_input_embeddings().weight
    said = [[f" {entry['response']}" for entry in entries if len(entry["response"]) > 1] for entries in instructions]
    tokens = [tokenizer(responses)["input_ids"] for responses in said]
    return torch.stack([torch.stack([embeddings[ids].mean(dim=0) for ids in rows]).mean(dim=0) for rows in tokens])


def ridge_regression(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The weight of shape `(channels, outputs)` that best maps centred inputs to centred targets."""
    inputs, targets = inputs - inputs.mean(dim=0), targets - targets.mean(dim=0)
    covariance = inputs.T @ inputs / len(inputs)
    penalty = PENALTY * covariance.diagonal().mean()
    return torch.linalg.solve(covariance + penalty * torch.eye(len(covariance)), inputs.T @ targets / len(inputs))


def whitening(features: torch.Tensor) -> torch.Tensor:
    """The symmetric matrix of shape `(channels, channels)` that makes channels uncorrelated and of one scale."""
    covariance = torch.cov(features.T)
    floor = SHRINKAGE * covariance.diagonal().mean()
    values, vectors = torch.linalg.eigh(covariance + floor * torch.eye(len(covariance)))
    return vectors @ torch.diag(values.rsqrt()) @ vectors.T


if __name__ == "__main__":
    main()
