"""The parts of the demo's starting model against the files that they come from."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from datasets import load_dataset
from transformers import AutoModelForImageTextToText, AutoProcessor


ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes" / "start"))

pytestmark = pytest.mark.slow


def test_the_tower_computes_what_the_onnx_file_computes():
    import onnxruntime
    from dinov2 import load_dinov2, onnx_file

    proto = onnx.load(str(onnx_file()))
    nodes = {node.name: node.output[0] for node in proto.graph.node}
    layers = [nodes[f"/backbone/encoder/layer.{i}/Add_1"] for i in range(12)]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in layers)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = session.run(layers, {session.get_inputs()[0].name: pixels.numpy()})
    with torch.no_grad():
        hidden_states = load_dinov2()(pixels, output_hidden_states=True).hidden_states
    for ours, theirs in zip(hidden_states[1:], expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


def test_the_language_model_speaks():
    from smollm2 import load_smollm2

    model, tokenizer = load_smollm2()
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :])


def test_whitening_inverts_the_covariance_but_for_its_floor():
    from assemble import SHRINKAGE, whitening

    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(5000, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    features = mixed * torch.tensor([1.0, 10.0, 0.5, 3.0, 1.0, 2.0])
    covariance = torch.cov(features.T)
    floor = SHRINKAGE * covariance.diagonal().mean()
    expected = covariance @ torch.linalg.inv(covariance + floor * torch.eye(6))
    torch.testing.assert_close(torch.cov((features @ whitening(features)).T), expected, rtol=1e-3, atol=1e-3)


def test_ridge_regression_is_least_squares_with_a_penalty():
    from assemble import PENALTY, ridge_regression

    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(3, 2, (200, 5)), rng.normal(-1, 1, (200, 3))
    centred = (inputs - inputs.mean(0)) / np.sqrt(200)
    penalty = PENALTY * (centred**2).sum(0).mean()
    rows = np.concatenate([centred, np.sqrt(penalty) * np.eye(5)])
    wanted = np.concatenate([(targets - targets.mean(0)) / np.sqrt(200), np.zeros((5, 3))])
    expected = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    found = ridge_regression(torch.tensor(inputs), torch.tensor(targets))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_the_projector_tells_words_said_of_pictures():
    from assemble import mean_embeddings, tower_features

    model = AutoModelForImageTextToText.from_pretrained(ROOT / "aesexpert-start")
    processor = AutoProcessor.from_pretrained(ROOT / "aesexpert-start")
    pictures = load_dataset(str(ROOT / "aesmmit"), split="validation")
    pixels = processor.image_processor(pictures["image"][:], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        told = model.model.multi_modal_projector(tower_features(model, pixels)).mean(dim=1)
    said = mean_embeddings(model, processor.tokenizer, pictures["instructions"][:])
    similarity = torch.nn.functional.cosine_similarity(told, said - said.mean(dim=0))
    assert similarity.mean() > 0.3  # pictures that it was not fitted to


def test_the_assembled_model_writes_an_answer_about_a_picture():
    model = AutoModelForImageTextToText.from_pretrained(ROOT / "aesexpert-start")
    processor = AutoProcessor.from_pretrained(ROOT / "aesexpert-start")
    picture = next((ROOT / "dataset_scripts" / "demo" / "images").glob("*.jpg"))
    content = [{"type": "image", "path": str(picture)}, {"type": "text", "text": "What do you see?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert (inputs["input_ids"] == processor.image_token_id).sum() == model.config.image_seq_length == 26
    assert model.generate(**inputs, max_new_tokens=5).shape[1] > inputs["input_ids"].shape[1]
