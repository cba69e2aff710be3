"""What cannot be converted: a clear error before anything is written, and nothing half-written after a failure."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from safetensors.torch import load_file, save_file

from aesexpert.models.convert import ConversionError, convert_checkpoint, writer
from parity import CASES, FIXTURES, as_pickle, as_shards


LLAVA, OWL2 = CASES["llava"].checkpoint, CASES["owl2"].checkpoint
TOWER = FIXTURES / CASES["llava"].tower


def copy(source, folder, **config):
    """A copy of a checkpoint with another configuration."""
    shutil.copytree(source, folder)
    values = {**json.loads((folder / "config.json").read_text()), **config}
    (folder / "config.json").write_text(json.dumps({name: value for name, value in values.items() if value != "-"}))
    return folder


def change_tensors(folder, **tensors):
    """Replaces tensors of a checkpoint; `None` removes one."""
    content = {**load_file(folder / "model.safetensors"), **{n.replace("__", "."): t for n, t in tensors.items()}}
    save_file({name: tensor for name, tensor in content.items() if tensor is not None}, folder / "model.safetensors")
    return folder


def refused(tmp_path, source, match, **options):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConversionError, match=match):
        convert_checkpoint(source, tmp_path / "out", **options)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"model_type": "qwen2_vl"}, "describes a 'qwen2_vl'; expected LLaVA-1.5 or mPLUG-Owl2"),
        ({"model_type": "-"}, "describes a None"),
        ({"mm_projector_type": "linear"}, "`mm_projector_type` is 'linear'; in LLaVA-1.5 it is 'mlp2x_gelu'"),
        ({"mm_use_im_start_end": True}, "`mm_use_im_start_end` is True"),
        ({"image_aspect_ratio": "anyres"}, "`image_aspect_ratio` is 'anyres'"),
        ({"mm_vision_tower": "google/siglip"}, "needs the vision tower 'google/siglip'.*--vision-tower DIR"),
        ({"hidden_size": "wide"}, "(?s)config.json: .*hidden_size"),
        ({"num_attention_heads": 5}, "(?s)config.json: .*hidden size"),
        ({"num_hidden_layers": 10**9}, "`text_config` claims 1000000000 layers, but the checkpoint has 80 tensors"),
        ({"mm_hidden_size": 48, "hidden_size": 128}, "has the shape .* the shape of .* by config.json"),
    ],
)
def test_another_llava(tmp_path, config, match):
    options = {} if "mm_vision_tower" in config else {"vision_tower": TOWER}
    refused(tmp_path, copy(LLAVA, tmp_path / "source", **config), match, **options)


@pytest.mark.parametrize(
    ("part", "config", "match"),
    [
        ("visual_model", {"use_post_layernorm": False}, "`use_post_layernorm` is False"),
        ("visual_abstractor", {"add_v2t_pos_emb": True}, "`add_v2t_pos_emb` is True"),
        ("visual_abstractor", {"grid_size": 5}, "`grid_size` of the abstractor is 5, but a picture of 56 px has 4"),
        ("visual_abstractor", {"hidden_size": 60}, "the abstractor is 60 wide and the vision tower 48"),
    ],
)
def test_another_owl2(tmp_path, part, config, match):
    visual = json.loads((OWL2 / "config.json").read_text())["visual_config"]
    visual[part] |= config
    refused(tmp_path, copy(OWL2, tmp_path / "source", visual_config=visual), match)


def test_the_wrong_family_or_tower(tmp_path):
    refused(tmp_path, OWL2, "is of the family owl2, but --family is llava", family="llava")
    refused(tmp_path, OWL2, "leave out --vision-tower", vision_tower=TOWER)
    refused(tmp_path, LLAVA, "describes a 'llava_llama'; expected the CLIP", vision_tower=LLAVA)


def test_folders_that_are_no_checkpoints(tmp_path):
    refused(tmp_path, tmp_path / "nowhere", "there is no folder")
    (tmp_path / "source").mkdir()
    refused(tmp_path, tmp_path / "source", r"config.json is missing")
    (tmp_path / "source" / "config.json").write_text("[]")
    refused(tmp_path, tmp_path / "source", "holds a list; expected a JSON object")
    (tmp_path / "source" / "config.json").write_text("{")
    refused(tmp_path, tmp_path / "source", "is not JSON")
    shutil.copy(LLAVA / "config.json", tmp_path / "source")
    refused(tmp_path, tmp_path / "source", "has no weights")


def test_damaged_files(tmp_path):
    source = copy(LLAVA, tmp_path / "source")
    file = source / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(b"\xff" * 64 + content[64:])
    refused(tmp_path, source, r"model.safetensors is no safetensors file")
    file.write_bytes(content[: len(content) // 2])
    refused(tmp_path, source, r"model.safetensors is no safetensors file, or it was cut off")
    file.write_bytes(b"")
    refused(tmp_path, source, r"model.safetensors is no safetensors file")


def test_shards(tmp_path):
    source = as_shards(LLAVA, tmp_path / "source", 3)
    index = source / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    (source / "model-00002-of-00003.safetensors").rename(tmp_path / "elsewhere")
    refused(
        tmp_path, source, "model-00002-of-00003.safetensors is missing; model.safetensors.index.json says it holds"
    )
    (tmp_path / "elsewhere").rename(source / "model-00002-of-00003.safetensors")
    content["weight_map"]["more"] = "model-00001-of-00003.safetensors"
    index.write_text(json.dumps(content))
    refused(tmp_path, source, "model-00001-of-00003.safetensors lacks 'more'")
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": "../../etc/model.safetensors"}}))
    refused(tmp_path, source, "expected a weight file of the same folder")
    index.write_text("{}")
    refused(tmp_path, source, "is no index")


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({"model__norm__weight": None}, "has nothing for the model's 'language_model.model.norm.weight'"),
        ({"model__norm__weight": torch.zeros(63)}, r"'model.norm.weight' has the shape \(63,\), which does not give"),
        ({"model__mm_projector__0__weight": torch.zeros(64, 47)}, r"has the shape \(64, 47\)"),
        (
            {"model__embed_tokens__weight": torch.zeros(319, 64)},
            r"'model.embed_tokens.weight' has the shape \(319, 64\)",
        ),
        ({"lm_head__weight": torch.zeros(319, 64)}, r"'lm_head.weight' has the shape \(319, 64\)"),
        ({"lm_head__weight": torch.zeros(320, 63)}, r"'lm_head.weight' has the shape \(320, 63\)"),
        ({"model__embed_tokens__weight": None}, "has no embeddings of its language model"),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, tensors, match):
    source = change_tensors(copy(LLAVA, tmp_path / "source"), **tensors)
    refused(tmp_path, source, match, vision_tower=TOWER)


def test_fused_projections_of_a_wrong_size(tmp_path):
    name = "model__vision_model__encoder__layers__0__self_attn__query_key_value__bias"
    source = change_tensors(copy(OWL2, tmp_path / "source"), **{name: torch.zeros(145)})
    refused(tmp_path, source, r"query_key_value.bias' has the shape \(145,\)")


class Program:
    """What a hostile pickle holds: it runs when it is read."""

    def __reduce__(self):
        return (os.mkdir, ("here-was-i",))


def test_pickles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = as_pickle(LLAVA, tmp_path / "source")
    refused(tmp_path, source, r"pytorch_model.bin is a pickle.*--allow-pickle", vision_tower=TOWER)
    torch.save({"model.norm.weight": Program()}, source / "pytorch_model.bin")
    refused(tmp_path, source, "holds something else than plain tensors", vision_tower=TOWER, allow_pickle=True)
    assert not (tmp_path / "here-was-i").exists()
    torch.save([torch.zeros(1)], source / "pytorch_model.bin")
    refused(tmp_path, source, "is no state dictionary", vision_tower=TOWER, allow_pickle=True)
    (source / "pytorch_model.bin").write_bytes(b"PK\x03\x04 cut off")
    refused(tmp_path, source, "pytorch_model.bin", vision_tower=TOWER, allow_pickle=True)


def test_an_output_that_exists(tmp_path):
    (tmp_path / "out").mkdir()
    refused(tmp_path, OWL2, "out exists; name another folder or remove it")


def test_too_little_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(0, 0, 1000)
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: usage)
    refused(tmp_path, OWL2, "has 0 MB free, but the checkpoint needs 21 MB")


def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("the disk went away")

    monkeypatch.setattr(writer, "save_file", fail)
    with pytest.raises(OSError, match="went away"):
        convert_checkpoint(OWL2, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
from aesexpert.models.convert import convert_checkpoint, writer
save_file = writer.save_file
def slowly(*arguments, **options):
    save_file(*arguments, **options)
    print("written", flush=True)
    time.sleep(600)
writer.save_file = slowly
convert_checkpoint(*sys.argv[1:])
"""


def test_a_killed_conversion_leaves_no_folder_that_looks_whole(tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(OWL2), str(out)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    convert_checkpoint(OWL2, out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_on_the_command_line_is_one_line(tmp_path):
    command = [sys.executable, "-m", "aesexpert", "convert", str(tmp_path), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("aesexpert: error: ") and "Traceback" not in result.stderr
