"""Grades as probabilities, against one grade at a time on whole texts."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from aesexpert.models.conversations import ChatTemplateError, ask_about, response_tokens, to_inputs
from aesexpert.models.grades import GRADE_QUESTION, expected_score, grade_distribution
from aesexpert.taxonomy import Grade
from tiny_families import FAMILIES


PICTURES = [Image.linear_gradient("L").convert("RGB").rotate(90 * i).resize((28 + 14 * i, 28)) for i in range(3)]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model, processor = FAMILIES[request.param](tmp_path)
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model.eval(), processor


def one_grade_at_a_time(model: PreTrainedModel, processor: ProcessorMixin, picture: Image.Image) -> torch.Tensor:
    """The loss of each word in a whole conversation, as training computes it: the model's own, over labels."""
    totals = []
    for grade in Grade:
        answered = [
            *ask_about(picture, GRADE_QUESTION),
            {"role": "assistant", "content": [{"type": "text", "text": grade.value}]},
        ]
        inputs = to_inputs(model, processor, [answered])
        end = len(processor.tokenizer("<|im_end|>\n")["input_ids"])
        prompt = to_inputs(model, processor, [answered[:1]], add_generation_prompt=True)["input_ids"].shape[1]
        labels = inputs["input_ids"].clone()
        labels[:, :prompt] = -100
        labels[:, -end:] = -100
        count = (labels != -100).sum()
        assert processor.tokenizer.decode(labels[labels != -100]) == grade
        totals.append(-model(**inputs, labels=labels).loss * count)
    return torch.stack(totals).softmax(dim=0)


@torch.no_grad()
def test_grades_of_every_family_are_those_of_one_at_a_time(family: tuple[PreTrainedModel, ProcessorMixin]) -> None:
    distribution = grade_distribution(*family, PICTURES)
    assert distribution.shape == (3, 5)
    expected = torch.stack([one_grade_at_a_time(*family, picture) for picture in PICTURES])
    torch.testing.assert_close(distribution, expected, rtol=1e-4, atol=1e-6)
    assert len({tuple(row) for row in distribution.tolist()}) == 3


def test_words_of_one_token_cost_one_forward_pass(
    family: tuple[PreTrainedModel, ProcessorMixin], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = family
    words = {tuple(response_tokens(processor, ask_about(PICTURES[0], "?"), grade)) for grade in Grade}
    assert any(len(word) > 3 for word in words), "the tiny tokenizer writes grades in several tokens"
    letters = [[processor.tokenizer.convert_tokens_to_ids(letter)] for letter in "ABCDE"]
    monkeypatch.setattr("aesexpert.models.grades._grade_tokens", lambda *args: letters)
    passes: list[int] = []
    hook = model.get_decoder().register_forward_hook(lambda *args: passes.append(1))
    grade_distribution(model, processor, PICTURES)
    hook.remove()
    assert len(passes) == 1


@pytest.mark.parametrize(
    ("distribution", "score"),
    [
        ([1.0, 0, 0, 0, 0], 1.0),
        ([0, 0, 0, 0, 1.0], 0.0),
        ([0, 0.5, 0, 0.5, 0], 0.5),
        ([0.2, 0.2, 0.2, 0.2, 0.2], 0.5),
        ([0, 1.0, 0, 0, 0], 0.75),
    ],
)
def test_expected_score(distribution: list[float], score: float) -> None:
    assert expected_score(torch.tensor(distribution)).item() == pytest.approx(score)


def test_template_that_writes_no_answer_is_refused(tmp_path: Path) -> None:
    model, processor = FAMILIES["llava"](tmp_path)
    processor.chat_template = "{{ messages | length }}<image>{{ messages[-1]['content'][-1]['text'] }}"
    with pytest.raises(ChatTemplateError, match="does not write a prompt and its response 'excellent' in one piece"):
        grade_distribution(model, processor, PICTURES)
