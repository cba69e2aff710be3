"""What is refused before training starts."""

import shutil

import pytest
from transformers import AutoProcessor
from trl import ModelConfig

from aesexpert.train import build_trainer
from aesexpert.train.checks import check_texts


def test_a_placeholder_in_a_text_is_named(pictures):
    def spoil(row):
        row["instructions"][0]["prompt"] = "Compare <image> with this one."
        return row

    with pytest.raises(ValueError, match=r"picture '.*': the text 'Compare <image> with this one\.' contains"):
        check_texts(pictures.map(spoil), "<image>")


def test_max_length_must_leave_the_picture_whole(recipe):
    with pytest.raises(ValueError, match=r"keeps \d of 4 picture tokens within `max_length` 5"):
        build_trainer(*recipe(max_length=5))


def test_a_processor_that_counts_otherwise_is_refused(recipe, start, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(start, broken)
    processor = AutoProcessor.from_pretrained(start)
    processor.num_additional_image_tokens = 0
    processor.save_pretrained(broken)
    data, training, _ = recipe()
    with pytest.raises(ValueError, match=r"writes 3 placeholders for a picture, the model gives 4 features"):
        build_trainer(data, training, ModelConfig(model_name_or_path=str(broken)))


def test_a_folder_without_processor(recipe, start, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(start, bare)
    (bare / "processor_config.json").unlink()
    data, training, _ = recipe()
    with pytest.raises(ValueError, match=r"no processor in .*: expected `processor_config.json`"):
        build_trainer(data, training, ModelConfig(model_name_or_path=str(bare)))


@pytest.mark.parametrize(("argument", "name"), [("model", "aesexpert-start"), ("data", "aesmmit")])
def test_missing_folders_name_what_makes_them(recipe, tmp_path, monkeypatch, argument, name):
    monkeypatch.chdir(tmp_path)
    data, training, model = recipe()
    if argument == "model":
        model = ModelConfig(model_name_or_path=name)
    else:
        data.dataset_name = name
    with pytest.raises(FileNotFoundError, match=rf"no folder '{name}' here; `make demo`"):
        build_trainer(data, training, model)
