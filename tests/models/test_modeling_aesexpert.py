"""The AesExpert model against the stock Llava that it is."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, LlavaConfig, LlavaForConditionalGeneration

from aesexpert.models import AesExpertConfig, AesExpertForConditionalGeneration, AesExpertModel
from tiny_models import IMAGE_SIZE, build_tiny_llava


@pytest.fixture(scope="module")
def stock_folder(tmp_path_factory):
    return build_tiny_llava(tmp_path_factory.mktemp("models") / "tiny")


def batch(config: LlavaConfig) -> dict[str, torch.Tensor]:
    """Two rows of one picture each, the second padded on the right, with labels on the last tokens."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.full((2, config.image_seq_length), config.image_token_id)
    text = torch.randint(10, 300, (2, 12), generator=generator)
    input_ids = torch.cat([pictures, text], dim=1)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, -3:] = 0
    labels = input_ids.clone()
    labels[:, :-6] = -100
    labels[attention_mask == 0] = -100
    return {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "labels": labels,
        "pixel_values": torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator),
    }


def test_loss_and_gradients_equal_those_of_stock_llava(stock_folder):
    stock = LlavaForConditionalGeneration.from_pretrained(stock_folder)
    ours = AesExpertForConditionalGeneration.from_pretrained(stock_folder)
    inputs = batch(stock.config)
    stock_loss, our_loss = stock(**inputs).loss, ours(**inputs).loss
    stock_loss.backward()
    our_loss.backward()
    torch.testing.assert_close(our_loss, stock_loss, rtol=1e-5, atol=1e-5)
    gradients = dict(ours.named_parameters())
    for name, parameter in stock.named_parameters():
        torch.testing.assert_close(gradients[name].grad, parameter.grad, rtol=1e-5, atol=1e-5)
    assert sum(p.grad is not None for p in ours.parameters()) > 20


@pytest.mark.parametrize(("size", "billions"), [("aesexpert_7b", 7.06), ("aesexpert_13b", 13.35)])
def test_parameter_counts_of_the_papers_models(size, billions):
    with torch.device("meta"):
        model = AesExpertForConditionalGeneration(getattr(AesExpertConfig, size)())
    assert round(model.num_parameters() / 1e9, 2) == billions


def test_the_papers_models_see_576_tokens():
    config = AesExpertConfig.aesexpert_7b()
    vision = config.vision_config
    assert (vision.image_size // vision.patch_size) ** 2 == config.image_seq_length == 576
    assert config.vision_feature_layer == -2


def test_constructors_take_overrides():
    assert AesExpertConfig.aesexpert_13b(vision_feature_layer=[4, -2]).vision_feature_layer == [4, -2]


def test_auto_classes_know_the_type(stock_folder):
    config = AesExpertConfig.from_pretrained(stock_folder)
    assert isinstance(AutoModelForImageTextToText.from_config(config), AesExpertForConditionalGeneration)
    assert isinstance(AesExpertForConditionalGeneration(config).model, AesExpertModel)


def test_generation_goes_on_from_a_picture(stock_folder):
    model = AesExpertForConditionalGeneration.from_pretrained(stock_folder).eval()
    inputs = batch(model.config)
    row = {"input_ids": inputs["input_ids"][:1], "pixel_values": inputs["pixel_values"][:1]}
    with_cache = model.generate(**row, max_new_tokens=8, do_sample=False)
    without = model.generate(**row, max_new_tokens=8, do_sample=False, use_cache=False)
    assert with_cache.shape[1] > row["input_ids"].shape[1]
    assert torch.equal(with_cache, without)
