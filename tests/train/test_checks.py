"""What is refused before training starts."""

import shutil

import pytest
from transformers import AutoProcessor
from trl import ModelConfig

from aesexpert.train import build_trainer, take_segments
from aesexpert.train.checks import check_packing, check_texts
from tiny_families import FAMILIES


def test_a_placeholder_in_a_text_is_named(pictures):
    def spoil(row):
        row["instructions"][0]["prompt"] = "Compare <image> with this one."
        return row

    with pytest.raises(ValueError, match=r"picture '.*': the text 'Compare <image> with this one\.' contains"):
        check_texts(pictures.map(spoil), "<image>")


def test_max_length_must_leave_the_picture_whole(recipe):
    with pytest.raises(ValueError, match=r"keeps \d of 4 picture tokens within `max_length` 5"):
        build_trainer(*recipe(max_length=5, packing="one"))
    with pytest.raises(ValueError, match=r"`max_length` 5: its pictures take 7 tokens and more; raise `max_length`"):
        build_trainer(*recipe(max_length=5, packing="shared"))


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


class Rows:
    """A collator's packed rows, spoilt in one way."""

    def __init__(self, collator, spoil):
        self.collator, self.spoil = collator, spoil

    def __call__(self, rows):
        batch = self.collator(rows)
        return self.spoil(batch) if len(rows) > 1 else batch


def test_packed_rows_that_are_answered_differently_are_refused(recipe):
    trainer = build_trainer(*recipe())
    rows = [trainer.train_dataset[0], trainer.train_dataset[1]]
    check_packing(trainer.model, trainer.data_collator, rows)

    def leak(batch):  # all segments as one: each sees those before it
        return batch | {"segment_ids": batch["segment_ids"].clamp(max=1)}

    with pytest.raises(ValueError, match=r"answers packed rows differently than single ones .* `packing: one`"):
        check_packing(trainer.model, Rows(trainer.data_collator, leak), rows)


def test_a_model_whose_code_refuses_the_mask_is_named(recipe):
    trainer = build_trainer(*recipe())

    def refuse(module, args, inputs):
        if inputs["attention_mask"].dim() == 4:
            raise ValueError("4-D masks are not known here")

    trainer.model.model.language_model.register_forward_pre_hook(refuse, with_kwargs=True)
    rows = [trainer.train_dataset[0], trainer.train_dataset[1]]
    with pytest.raises(ValueError, match=r"does not take packed rows \(4-D masks .*\); train with `packing: one`"):
        check_packing(trainer.model, trainer.data_collator, rows)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("layer_types", ["full_attention", "sliding_attention"], r"layers of the kind sliding_attention"),
        ("layer_types", ["linear_attention", "full_attention"], r"layers of the kind linear_attention"),
        ("_attn_implementation", "flash_attention_2", r"`attn_implementation` is 'flash_attention_2'"),
    ],
)
def test_attention_that_cannot_hide_segments_is_refused(tmp_path, field, value, message):
    model, _ = FAMILIES["internvl"](tmp_path)
    object.__setattr__(model.config.get_text_config(), field, value)
    with pytest.raises(ValueError, match=message + ".*`packing: one`"):
        take_segments(model)
