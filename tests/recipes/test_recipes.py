"""Every recipe and every accelerate configuration is read by what reads it in use."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from transformers import AutoModelForImageTextToText
from transformers.quantizers.quantizers_utils import should_convert_module
from trl import ModelConfig, TrlParser

from aesexpert.data import read_source
from aesexpert.data.parquet import write_dataset
from aesexpert.train import AesExpertSFTConfig, DataArguments, quantization
from tiny_data import write_tiny_source
from tiny_models import build_tiny_llava, build_tiny_owl2


ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
PAPER = ["aesexpert-7b", "aesexpert-13b", "aesexpert-owl2-7b", "feedback-only", "ava-comments"]


def parse(name: str, *flags: str):
    arguments = ["--config", str(ROOT / "recipes" / f"{name}.yaml"), "--bf16", "false", *flags]
    return TrlParser((DataArguments, AesExpertSFTConfig, ModelConfig)).parse_args_and_config(arguments)


@pytest.mark.parametrize("recipe", [file.stem for file in RECIPES])
def test_every_recipe_is_parsed_and_names_its_parts(recipe):
    data, training, model = parse(recipe)
    assert data.dataset_name == ("ava-comments-data" if recipe == "ava-comments" else "aesmmit")
    assert model.model_name_or_path
    assert Path(training.output_dir).name.startswith("aesexpert")
    assert training.report_to == []
    assert training.shared_prefix


@pytest.mark.parametrize("recipe", PAPER)
def test_the_papers_hyper_parameters(recipe):
    _, training, model = parse(recipe)
    gpus = 8
    assert training.per_device_train_batch_size * training.gradient_accumulation_steps * gpus == 128
    assert (training.learning_rate, training.lr_scheduler_type, training.warmup_steps) == (2e-5, "cosine", 0.03)
    assert (training.num_train_epochs, training.weight_decay, training.max_length) == (1, 0.0, 2048)
    assert training.activation_checkpointing
    start = "aesexpert-owl2-start" if "owl2" in recipe else "llava-hf/llava-1.5-"
    assert model.model_name_or_path.startswith(start)


def test_feedback_only_reads_descriptions():
    assert parse("feedback-only")[0].kinds == ["description"]


def test_lora_leaves_the_tower_alone():
    pattern = parse("lora-7b")[2].lora_target_modules
    assert re.fullmatch(pattern, "model.language_model.layers.0.self_attn.q_proj")
    assert not re.fullmatch(pattern, "model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj")


LORA = ["lora-7b", "lora-13b", "lora-owl2-7b", "4bit-7b", "4bit-13b", "4bit-owl2-7b"]


@pytest.mark.parametrize("recipe", LORA)
def test_lora_adapts_all_of_the_language_model_and_nothing_else(recipe, tmp_path):
    _, training, model = parse(recipe)
    assert training.per_device_train_batch_size * training.gradient_accumulation_steps == 128
    network = build_tiny_owl2 if "owl2" in recipe else build_tiny_llava
    names = dict(AutoModelForImageTextToText.from_pretrained(network(tmp_path / "tiny")).named_modules())
    linear = {name for name, module in names.items() if type(module).__name__ == "Linear"}
    chosen = {name for name in names if re.fullmatch(model.lora_target_modules, name)}
    assert chosen == {name for name in linear if "language_model" in name}
    whole = {name for name in names if name.endswith(tuple(model.lora_modules_to_save))}
    assert len(whole) == 1 and not any(name.startswith(tuple(whole)) for name in chosen)


@pytest.mark.parametrize("recipe", [name for name in LORA if name.startswith("4bit")])
def test_four_bits_spare_what_is_trained_or_sees(recipe, monkeypatch, tmp_path):
    model = parse(recipe)[2]
    monkeypatch.setattr(quantization, "find_spec", lambda name: object())
    config = quantization.quantization_config(model)
    assert config.load_in_4bit and config.bnb_4bit_use_double_quant and config.bnb_4bit_quant_type == "nf4"
    network = build_tiny_owl2 if "owl2" in recipe else build_tiny_llava
    modules = AutoModelForImageTextToText.from_pretrained(network(tmp_path / "tiny")).named_modules()
    linear = {name for name, module in modules if type(module).__name__ == "Linear"}
    converted = {name for name in linear if should_convert_module(name, config.llm_int8_skip_modules)}
    assert converted == {name for name in linear if "language_model" in name}
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'aesexpert\[quantize\]'"):
        quantization.quantization_config(model)
    model.use_peft = False
    with pytest.raises(ValueError, match="need `use_peft: true`"):
        quantization.quantization_config(model)


def test_flags_win_over_the_recipe():
    assert parse("demo", "--learning_rate", "0.5")[1].learning_rate == 0.5


@pytest.mark.parametrize("file", sorted((ROOT / "recipes" / "accelerate").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_accelerate_configuration_is_read(file, monkeypatch):
    config = load_config_from_file(str(file))
    assert config.num_processes == {"one-gpu": 1, "zero3": 8, "fsdp": 8, "multi-node": 16}[file.stem]
    assert config.mixed_precision == "bf16"
    command = re.search(
        r"accelerate launch (.*?) recipes/sft.py --config (\S+)", file.read_text().replace("\\\n#", "")
    )
    assert (ROOT / command[2]).exists()
    arguments = launch_command_parser().parse_args([*command[1].split(), "recipes/sft.py"])
    monkeypatch.chdir(ROOT)
    _validate_launch_command(arguments)


def launch(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "accelerate.commands.launch", str(ROOT / "recipes" / "sft.py"), *flags]
    environment["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder like the repository's root after `make demo`, with a tiny model."""
    folder = tmp_path_factory.mktemp("workplace")
    source = read_source(write_tiny_source(folder / "source"))
    write_dataset(source, folder / "aesmmit", ROOT / "model_cards" / "dataset_card.md")
    build_tiny_llava(folder / "aesexpert-start")
    return folder


def test_without_arguments_the_demo_is_trained(workplace):
    result = launch(workplace)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "trained aesexpert-demo: loss" in result.stdout
    AutoModelForImageTextToText.from_pretrained(workplace / "aesexpert-demo")


def test_a_misspelt_key_is_named(workplace, tmp_path):
    text = (ROOT / "recipes" / "demo.yaml").read_text().replace("learning_rate: 2", "lerning_rate: 2", 1)
    (tmp_path / "bad.yaml").write_text(text)
    result = launch(workplace, "--config", str(tmp_path / "bad.yaml"))
    assert result.returncode != 0
    assert "lerning_rate" in result.stderr
    assert "Traceback" not in result.stderr.split("recipes/sft.py: error:")[0]


def test_an_empty_folder_says_what_to_do(tmp_path):
    result = launch(tmp_path)
    assert result.returncode != 0
    assert "there is no folder 'aesexpert-start' here; `make demo` makes the demo's" in result.stderr
