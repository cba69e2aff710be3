"""A picture read once for all of its questions gives the answers of one question at a time."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    GemmaConfig,
    GenerationConfig,
    LlavaConfig,
    MistralConfig,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
    Qwen3NextConfig,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from aesexpert.bench.answering import Answer, choose_options, write_answers
from aesexpert.bench.model import VisionLanguageModel, load_model
from aesexpert.bench.prompts import task_prompt
from aesexpert.bench.sharing import PlainPrompts, SharedPrompts, choose_prompts, shared_length, why_not_shared
from aesexpert.models.conversations import Conversation, ask_about
from aesexpert.models.prefix import encode_prefix
from aesexpert.taxonomy import Task
from tiny_families import FAMILIES, TEXT, VISION
from tiny_models import CHAT_TEMPLATE, IMAGE_SIZE, PATCH_SIZE, tiny_tokenizer


OPTIONS = [["Calm", "Noisy", "Gloomy", "Bright"], ["Yes", "No"], ["High", "Medium", "Low"]]
TEXTS = [
    task_prompt(Task.PERCEPTION, "How do the colours of the bird work against the setting?", OPTIONS[0]),
    task_prompt(Task.EMPATHY, "Does the picture calm?", OPTIONS[1]),
    task_prompt(Task.ASSESSMENT, "How good is this picture?", OPTIONS[2]),
]
DESCRIBE = "Describe the aesthetic qualities of this picture."
SIZES = [(28, 28), (42, 28), (14, 42)]


def picture(number: int) -> Image.Image:
    """Noise, since the tiny models hardly tell plain colours apart."""
    noise = torch.randint(0, 256, (*SIZES[number][::-1], 3), generator=torch.Generator().manual_seed(number))
    return Image.fromarray(noise.to(torch.uint8).numpy())


def questions(number: int) -> list[Conversation]:
    return [ask_about(picture(number), text) for text in (*TEXTS, DESCRIBE)]


def ready(network: PreTrainedModel, processor: ProcessorMixin) -> VisionLanguageModel:
    tokenizer = processor.tokenizer
    network.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return VisionLanguageModel(network.eval(), processor)


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> VisionLanguageModel:
    return ready(*FAMILIES[request.param](tmp_path))


def one_at_a_time(model: VisionLanguageModel, pictures: Sequence[Sequence[Conversation]], tokens: int) -> list[Answer]:
    answers = []
    for question in (question for about in pictures for question in about):
        inputs = PlainPrompts(model, [[question]]).inputs([0])
        answers += write_answers(model, inputs, tokens, one_line=False)
    return answers


def test_answers_of_every_family_are_those_of_one_at_a_time(model: VisionLanguageModel) -> None:
    pictures = [questions(0), questions(1)[1:3], questions(2)]
    assert why_not_shared(model, pictures[0]) is None
    prompts = SharedPrompts(model, pictures)
    expected = one_at_a_time(model, pictures, 24)
    assert len({answer.response for answer in expected}) > 5, "the tiny model should not say the same of everything"
    order = [9, 0, 4, 2, 1, 3, 8, 5, 7, 6]
    for places in (order[:6], order[6:], [3]):  # the same prefixes serve several batches
        answers = write_answers(model, prompts.inputs(places), 24, one_line=False)
        assert answers == [expected[i] for i in places]


def test_scores_of_every_family_are_those_of_the_whole_prompt(model: VisionLanguageModel) -> None:
    pictures = [questions(i) for i in range(3)]
    places = list(range(12))
    shared = encode_prefix(model.model, SharedPrompts(model, pictures).inputs(places))
    for place in places:
        whole = encode_prefix(model.model, PlainPrompts(model, pictures).inputs([place]))
        torch.testing.assert_close(shared.logits[place], whole.logits[0], rtol=1e-4, atol=1e-4)
        assert shared.position_offset[place] == whole.position_offset[0]


def test_likelihoods_of_every_family_are_those_of_one_at_a_time(model: VisionLanguageModel) -> None:
    pictures = [questions(i)[:3] for i in range(2)]
    flat = [question for about in pictures for question in about]
    shared = choose_options(model, SharedPrompts(model, pictures).inputs(range(6)), flat, OPTIONS * 2)
    for question, options, answer in zip(flat, OPTIONS * 2, shared, strict=True):
        (alone,) = choose_options(model, PlainPrompts(model, [[question]]).inputs([0]), [question], [options])
        assert answer.response == alone.response
        assert answer.probabilities == pytest.approx(alone.probabilities, rel=1e-4)


def test_every_picture_is_read_once(tiny_llava: Path) -> None:
    model, seen = load_model(str(tiny_llava)), []
    tower = model.model.get_encoder(modality="image")
    tower.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    prompts = SharedPrompts(model, [questions(i) for i in range(3)])
    for places in ([0, 1, 2, 4, 5, 6], [3, 7, 11]):
        write_answers(model, prompts.inputs(places), 4, one_line=False)
    assert seen == [3]


def test_prompts_are_cut_where_tokens_differ(tiny_llava: Path) -> None:
    """Parts are never tokenised: prefix and rest together are the tokens of the whole prompt."""
    model = load_model(str(tiny_llava))
    whole = [model.encode([question], add_generation_prompt=True)["input_ids"][0] for question in questions(0)]
    prompts = SharedPrompts(model, [questions(0)])
    inputs = prompts.inputs(range(4))
    cached = inputs["past_key_values"].get_seq_length()
    for ids, row, mask in zip(whole, inputs["input_ids"], inputs["attention_mask"], strict=True):
        assert ids[cached:].tolist() == row[mask[cached:].bool()].tolist()
    assert len({ids[cached].item() for ids in whole}) > 1


@pytest.mark.parametrize(
    ("rows", "length"),
    [([[1, 2, 3], [1, 2, 4]], 2), ([[1, 2], [1, 2, 3]], 1), ([[1, 2], [1, 2]], 1), ([[7]], 0), ([[1, 2], [2, 2]], 0)],
)
def test_something_is_left_to_go_on_with(rows: list[list[int]], length: int) -> None:
    assert shared_length(rows) == length


def llava_with(folder: Path, text_config: PreTrainedConfig) -> VisionLanguageModel:
    """A tiny Llava around another language model."""
    processor = AutoProcessor.from_pretrained(folder)
    config = LlavaConfig.from_pretrained(folder)
    text_config.vocab_size = config.text_config.vocab_size
    config.text_config = text_config
    torch.manual_seed(0)
    return ready(AutoModelForImageTextToText.from_config(config), processor)


def sliding_window(folder: Path) -> VisionLanguageModel:
    return llava_with(folder, MistralConfig(**TEXT, sliding_window=8))


def linear_attention(folder: Path) -> VisionLanguageModel:
    sizes = {
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    }
    kinds = ["linear_attention", "full_attention"]
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 32}
    return llava_with(folder, Qwen3NextConfig(**{**TEXT, **sizes, **experts}, layer_types=kinds, head_dim=8))


def picture_after_text(folder: Path) -> VisionLanguageModel:
    model = load_model(str(folder))
    model.processor.chat_template = "{{ messages[0]['content'][1]['text'] }}<image>"
    return model


def picture_that_attends_to_its_question(folder: Path) -> VisionLanguageModel:
    """PaliGemma: no configuration tells that its picture sees the text behind it."""
    tokenizer = tiny_tokenizer()
    tokenizer.bos_token = "<|im_start|>"
    image_processor = SiglipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    image_processor.image_seq_length = (IMAGE_SIZE // PATCH_SIZE) ** 2
    processor = PaliGemmaProcessor(image_processor, tokenizer, chat_template=CHAT_TEMPLATE)
    config = PaliGemmaConfig(
        text_config=GemmaConfig(**TEXT, vocab_size=len(tokenizer), head_dim=8, pad_token_id=tokenizer.pad_token_id),
        vision_config=SiglipVisionConfig(**VISION, image_size=IMAGE_SIZE, patch_size=PATCH_SIZE),
        image_token_index=processor.image_token_id,
        projection_dim=TEXT["hidden_size"],
    )
    torch.manual_seed(0)
    return ready(AutoModelForImageTextToText.from_config(config), processor)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (sliding_window, r"its cache is not of the standard kind alone \(.*DynamicSlidingWindowLayer"),
        (linear_attention, r"its cache is not of the standard kind alone \(LinearAttentionLayer"),
        (picture_after_text, "its prompts differ before the picture ends"),
        (picture_that_attends_to_its_question, "going on from a cached prefix changes the scores by"),
    ],
)
def test_other_models_read_every_prompt_whole_and_say_why(
    build: Callable[[Path], VisionLanguageModel], reason: str, tiny_llava: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = build(tiny_llava)
    with caplog.at_level(logging.WARNING, logger="aesexpert"):
        prompts_class = choose_prompts(model, questions(0))
    assert prompts_class is PlainPrompts
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("aesexpert")]
    assert re.search(
        f"{type(model.model).__name__} reads each picture anew for each of its questions: {reason}", message
    )
    answers = write_answers(model, prompts_class(model, [questions(0)]).inputs(range(4)), 4, one_line=True)
    assert len(answers) == 4


def test_a_model_whose_code_fails_behind_a_prefix_reads_whole_prompts(
    tiny_llava: Path,
) -> None:
    model = load_model(str(tiny_llava))
    hook = model.model.get_decoder().register_forward_pre_hook(refuse_prefixes, with_kwargs=True)
    reason = why_not_shared(model, questions(0))
    hook.remove()
    assert reason == "going on from a cached prefix fails (IndexError: no prefixes here)"


def refuse_prefixes(module: torch.nn.Module, args: object, kwargs: dict[str, Any]) -> None:
    if kwargs["past_key_values"].get_seq_length():
        raise IndexError("no prefixes here\nsecond line")


def test_one_question_a_picture_is_read_whole(tiny_llava: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert choose_prompts(load_model(str(tiny_llava)), questions(0)[:1]) is PlainPrompts
    assert not caplog.records
