"""AesExpert on mPLUG-Owl2: what its implementation promises besides agreeing with the original."""

import pytest
import torch
from torch import nn

from aesexpert.models import AesExpertOwl2Config, AesExpertOwl2ForConditionalGeneration
from aesexpert.models.modeling_aesexpert_owl2_abstractor import grid_positions, line_positions
from aesexpert.models.modeling_aesexpert_owl2_text import ModalityAdaptive, ModalityPositions
from aesexpert.train.freezing import freeze_vision_tower, projector_parameters
from tiny_models import tiny_owl2_config


VECTORS = 5


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return AesExpertOwl2ForConditionalGeneration(tiny_owl2_config(vocab_size=100, image_token_id=99)).eval()


def batch(*lengths: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Rows with a picture after three tokens, padded on the left to one length."""
    generator = torch.Generator().manual_seed(seed)
    rows = [
        torch.cat([text[:3], torch.full((VECTORS,), 99), text[3:]])
        for text in (torch.randint(3, 90, (length,), generator=generator) for length in lengths)
    ]
    longest = max(map(len, rows))
    input_ids = torch.stack([nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
    mask = torch.stack([nn.functional.pad(torch.ones_like(row), (longest - len(row), 0)) for row in rows])
    pixels = torch.randn(len(lengths), 3, 28, 28, generator=generator)
    return {"input_ids": input_ids, "attention_mask": mask, "pixel_values": pixels}


def test_the_released_sizes():
    with torch.device("meta"):
        model = AesExpertOwl2ForConditionalGeneration(AesExpertOwl2Config())
    # LLaMA-2-7B, the second norms, keys and values of its 32 layers, a token; CLIP ViT-L/14; the abstractor
    llama = 6_738_415_616
    second = 32 * (2 * 4096 * 4096 + 2 * 4096) + 2 * 4096
    assert (
        sum(p.numel() for p in model.model.language_model.parameters()) + model.lm_head.weight.numel()
        == llama + second
    )
    assert model.num_parameters() == pytest.approx(8.2e9, rel=0.01)
    assert model.config.image_seq_length == 65


@torch.no_grad()
@pytest.mark.parametrize("attention", ["eager", pytest.param("flex_attention", marks=pytest.mark.slow)])
def test_attention_implementations_agree(model, attention):
    inputs = batch(8, 5)
    expected = model(**inputs).logits[inputs["attention_mask"].bool()]
    other = AesExpertOwl2ForConditionalGeneration._from_config(model.config, attn_implementation=attention).eval()
    other.load_state_dict(model.state_dict())
    assert {m.config._attn_implementation for m in other.modules() if hasattr(m, "config")} == {attention}
    torch.testing.assert_close(other(**inputs).logits[inputs["attention_mask"].bool()], expected, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"repetition_penalty": 1.3}], ids=str)
def test_generating_with_a_cache_is_generating_without(model, options):
    inputs = batch(8, 5)
    tokens = [
        model.generate(**inputs, max_new_tokens=8, use_cache=use_cache, pad_token_id=0, eos_token_id=None, **options)
        for use_cache in (True, False)
    ]
    assert tokens[0].tolist() == tokens[1].tolist()
    assert (tokens[0][:, inputs["input_ids"].shape[1] :] != 99).all()


@torch.no_grad()
def test_a_second_picture_behind_a_cache(model):
    """The modality of later positions comes from their own tokens."""
    inputs = batch(6, seed=1) | {"attention_mask": None}
    again = {
        **inputs,
        "input_ids": inputs["input_ids"].repeat(1, 2),
        "pixel_values": inputs["pixel_values"].repeat(2, 1, 1, 1),
    }
    whole = model(**again).logits
    first = model(**inputs, use_cache=True)
    second = model(**inputs, past_key_values=first.past_key_values).logits
    torch.testing.assert_close(second, whole[:, inputs["input_ids"].shape[1] :], rtol=0, atol=1e-5)


@torch.no_grad()
def test_embeddings_in_place_of_tokens(model):
    inputs = batch(6)
    expected = model(**inputs).logits
    embeds = model.get_input_embeddings()(inputs.pop("input_ids"))
    torch.testing.assert_close(model(inputs_embeds=embeds, **inputs).logits, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_outputs_of_layers_are_recorded(model):
    outputs = model(**batch(6), output_hidden_states=True)
    assert len(outputs.hidden_states) == model.config.text_config.num_hidden_layers + 1
    model.set_attn_implementation("eager")
    assert len(model(**batch(6), output_attentions=True).attentions) == model.config.text_config.num_hidden_layers
    model.set_attn_implementation("sdpa")


def test_gradient_checkpointing_changes_no_gradient(model):
    inputs = batch(8, 5)
    labels = (
        inputs["input_ids"]
        .masked_fill(inputs["attention_mask"] == 0, -100)
        .masked_fill(inputs["input_ids"] == 99, -100)
    )
    gradients = []
    for checkpointing in (False, True):
        model.zero_grad()
        if checkpointing:
            model.activation_checkpointing_enable()
        model.train()(**inputs, labels=labels).loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    model.activation_checkpointing_disable()
    model.eval().zero_grad()
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_weights_of_a_modality_get_gradients_from_its_positions_alone(model):
    """The loss of the first layer's keys at text positions says nothing to the weights of pictures, and back."""
    inputs = batch(6)
    is_image = inputs["input_ids"] == 99
    layer = model.model.language_model.layers[0]
    hidden = torch.randn(*is_image.shape, model.config.text_config.hidden_size)
    for chosen, mine, other in ((~is_image, "text", "image"), (is_image, "image", "text")):
        for module in (layer.input_layernorm, layer.self_attn.k_proj, layer.self_attn.v_proj):
            module.zero_grad()
            module(hidden, ModalityPositions.of(is_image))[chosen].square().sum().backward()
            assert getattr(module, mine).weight.grad.abs().sum() > 0
            assert getattr(module, other).weight.grad.abs().sum() == 0
            module.zero_grad()


def test_text_alone_leaves_the_weights_of_pictures_without_gradient(model):
    model.zero_grad()
    input_ids = torch.randint(3, 90, (2, 6))
    model(input_ids=input_ids, labels=input_ids).loss.backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    model.zero_grad()
    pictures = {
        n for n, _ in model.named_parameters() if ".image." in n or "visual_abstractor" in n or "vision_tower" in n
    }
    assert without == pictures


def test_modality_adaptive_is_each_module_at_its_positions():
    torch.manual_seed(0)
    module = ModalityAdaptive(nn.Linear(4, 3), nn.Linear(4, 3))
    hidden, is_image = torch.randn(2, 7, 4), torch.rand(2, 7) < 0.5
    expected = torch.where(is_image[..., None], module.image(hidden), module.text(hidden))
    torch.testing.assert_close(module(hidden, ModalityPositions.of(is_image)), expected)
    torch.testing.assert_close(module(hidden), module.text(hidden))


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager", pytest.param("flex_attention", marks=pytest.mark.slow)])
def test_packed_rows_equal_single_ones(model, attention):
    model.set_attn_implementation(attention)
    prefix = batch(4)
    texts = [torch.randint(3, 90, (1, length)) for length in (3, 6, 2)]
    input_ids = torch.cat([prefix["input_ids"], *texts], dim=1)
    ids = [0] * prefix["input_ids"].shape[1] + [k for k, text in enumerate(texts, 1) for _ in range(text.shape[1])]
    padded = nn.functional.pad(input_ids, (0, 2))
    segment_ids = torch.tensor([ids + [-1, -1]])
    packed = model(
        input_ids=padded,
        pixel_values=prefix["pixel_values"],
        segment_ids=segment_ids,
        attention_mask=(segment_ids >= 0).long(),
    ).logits
    for k, text in enumerate(texts, 1):
        alone = model(
            input_ids=torch.cat([prefix["input_ids"], text], dim=1), pixel_values=prefix["pixel_values"]
        ).logits
        torch.testing.assert_close(packed[segment_ids == k], alone[0, -text.shape[1] :], rtol=0, atol=1e-5)
    model.set_attn_implementation("sdpa")


def test_only_the_abstractor_is_between_tower_and_language_model(model):
    freeze_vision_tower(model)
    names = {id(p): name for name, p in model.named_parameters()}
    projector = {names[id(p)] for p in projector_parameters(model)}
    assert projector == {name for name in names.values() if "visual_abstractor" in name}
    model.requires_grad_(True)


def test_pictures_that_do_not_fit_their_tokens(model):
    inputs = batch(6)
    inputs["input_ids"][0, -1] = 99
    with pytest.raises(ValueError, match="the text has 6 picture tokens, but the pictures have 5 vectors, 5 each"):
        model(**inputs)
    with pytest.raises(ValueError, match="exactly one of `input_ids` and `inputs_embeds`"):
        model(pixel_values=inputs["pixel_values"])


def test_saved_and_loaded_it_is_the_same(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = AesExpertOwl2ForConditionalGeneration.from_pretrained(tmp_path)
    inputs = batch(6)
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)
    assert {file.name for file in tmp_path.glob("*.py")} == {
        "configuration_aesexpert_owl2.py",
        "modeling_aesexpert_owl2.py",
        "modeling_aesexpert_owl2_abstractor.py",
        "modeling_aesexpert_owl2_text.py",
        "modeling_segments.py",
    }


def test_fresh_weights_are_all_set(tmp_path):
    """`from_pretrained` fills what a file lacks; nothing may stay as memory happened to be."""
    torch.manual_seed(0)
    config = tiny_owl2_config(vocab_size=100, image_token_id=99)
    state = AesExpertOwl2ForConditionalGeneration(config).state_dict()
    torch.save({}, tmp_path / "pytorch_model.bin")
    config.save_pretrained(tmp_path)
    loaded = AesExpertOwl2ForConditionalGeneration.from_pretrained(tmp_path)
    for name, tensor in loaded.state_dict().items():
        assert tensor.isfinite().all() and tensor.shape == state[name].shape, name
        assert tensor.abs().max() <= 5, name
    abstractor = loaded.model.visual_abstractor
    assert torch.equal(abstractor.image_positions, grid_positions(2, config.abstractor_config.hidden_size))


def test_position_tables():
    """The formulas, place by place."""
    line = line_positions(3, 8)
    grid = grid_positions(2, 8)
    for place in range(3):
        for i in range(4):
            angle = torch.tensor(place / 10000 ** (i / 4), dtype=torch.float64)
            assert line[place, i].item() == pytest.approx(angle.sin().item(), abs=1e-7)
            assert line[place, 4 + i].item() == pytest.approx(angle.cos().item(), abs=1e-7)
    assert grid[0].abs().sum() == 0
    for row in range(2):
        for column in range(2):
            expected = torch.cat([line_positions(2, 4)[column], line_positions(2, 4)[row]])
            assert torch.equal(grid[1 + 2 * row + column], expected)
