"""Writing answers and choosing options."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from aesexpert.bench.answering import Answer, FirstLine, choose_options, first_line, write_answers
from aesexpert.bench.model import VisionLanguageModel, load_model
from aesexpert.bench.sharing import PlainPrompts
from aesexpert.models.conversations import ask_about, response_tokens


QUESTION = ask_about(Image.new("RGB", (40, 30), "red"), "How good is this picture?")


@pytest.fixture(scope="module")
def model(tiny_llava: Path) -> VisionLanguageModel:
    return load_model(str(tiny_llava))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("B) Soft light\nbecause", "B) Soft light"),
        ("\n\n B) Soft light \r\n\nC)", "B) Soft light"),
        ("B) Soft light", "B) Soft light"),
        (" \n ", ""),
        ("", ""),
    ],
)
def test_first_line_is_the_first_that_is_not_blank(text: str, line: str) -> None:
    assert first_line(text) == line


def test_an_answer_stops_when_its_first_line_is_written(model: VisionLanguageModel) -> None:
    tokenizer = model.processor.tokenizer
    texts = ["A) High\n", "\n\nA) High", "A) High", "\n", "A)\nB)"]
    rows = tokenizer(["prompt\n" + text for text in texts], padding=True, padding_side="right", return_tensors="pt")
    length = len(tokenizer("prompt\n")["input_ids"])
    assert FirstLine(tokenizer, length)(rows["input_ids"], None).tolist() == [True, False, False, False, True]


def test_one_line_is_the_first_of_the_whole_answer(model: VisionLanguageModel) -> None:
    """A model that writes nothing but line breaks after some tokens: what comes later is not computed."""
    inputs = PlainPrompts(model, [[QUESTION]]).inputs([0])
    (whole,) = write_answers(model, inputs, 24, one_line=False)
    line_break = model.processor.tokenizer.encode("\n", add_special_tokens=False)[0]
    written = model.model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1] :].tolist()
    steps: list[int] = []

    def force(module: object, args: object, kwargs: object, output: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 6:
            output[..., line_break] = 1e6
        return output

    hook = model.model.get_output_embeddings().register_forward_hook(force, with_kwargs=True)
    (line,) = write_answers(model, PlainPrompts(model, [[QUESTION]]).inputs([0]), 24, one_line=True)
    hook.remove()
    assert len(steps) == 6
    expected = model.processor.tokenizer.decode(written[:5], skip_special_tokens=True)
    assert line.response == first_line(expected)
    assert whole.response.startswith(line.response)


def test_an_option_is_chosen_by_the_likelihood_of_its_letter(model: VisionLanguageModel) -> None:
    """Against the scores of one plain forward pass over the whole prompt."""
    options = ["High", "Medium", "Low"]
    inputs = PlainPrompts(model, [[QUESTION]]).inputs([0])
    (answer,) = choose_options(model, inputs, [QUESTION], [options])
    with torch.no_grad():
        scores = model.model(**inputs).logits[0, -1].softmax(dim=-1)
    letters = {letter: model.processor.tokenizer.convert_tokens_to_ids(letter) for letter in "ABC"}
    assert answer.probabilities == pytest.approx({letter: scores[i].item() for letter, i in letters.items()}, rel=1e-4)
    best = max(answer.probabilities, key=answer.probabilities.get)
    assert answer == Answer(f"{best}) {options['ABC'.index(best)]}", answer.probabilities)


def test_letters_behind_an_opening_are_scored_behind_it(model: VisionLanguageModel, tiny_llava: Path) -> None:
    """Some chat templates open every answer with the same tokens, such as an empty thought."""
    other = load_model(str(tiny_llava))
    template = other.processor.chat_template
    other.processor.chat_template = template.replace("{% generation %}", "{% generation %}so:\n")
    (answer,) = choose_options(other, PlainPrompts(other, [[QUESTION]]).inputs([0]), [QUESTION], [["High", "Low"]])
    product = {}
    for letter, text in zip("AB", ("High", "Low"), strict=True):
        tokens = response_tokens(other.processor, QUESTION, f"{letter}) {text}")
        end = tokens.index(other.processor.tokenizer.convert_tokens_to_ids(letter)) + 1
        assert end > 1
        product[letter] = likelihood(other, tokens[:end])
    assert answer.probabilities == pytest.approx(product, rel=1e-4)


def likelihood(model: VisionLanguageModel, tokens: list[int]) -> float:
    """The probability of some tokens after the question, one plain forward pass a token."""
    inputs, product = PlainPrompts(model, [[QUESTION]]).inputs([0]), 1.0
    for token in tokens:
        with torch.no_grad():
            product *= model.model(**inputs).logits[0, -1].softmax(dim=-1)[token].item()
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return product
