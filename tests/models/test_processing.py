"""Pictures and conversations as the two backbones were trained to read them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, CLIPImageProcessorPil

from parity import CASES, CLASSES, convert, with_tokenizer


SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
MEAN = (0.48145466, 0.4578275, 0.40821073)


@pytest.fixture(scope="module", params=["llava", "registered", "owl2"])
def processor(request, tmp_path_factory):
    case = CASES["owl2" if request.param == "owl2" else "llava"]
    folder = tmp_path_factory.mktemp(request.param)
    arguments = ["--format", "aesexpert"] if request.param == "registered" else []
    out = convert(with_tokenizer(case.checkpoint, folder / "source"), folder / "out", *case.arguments(), *arguments)
    return AutoProcessor.from_pretrained(out)


def is_owl2(processor):
    return "Owl2" in type(processor).__name__


def picture(width, height, mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def expected_pixels(processor, image):
    """The formula of the original: a square by padding or by resizing, then CLIP's own steps."""
    image = image.convert("RGB")
    if is_owl2(processor):
        image = image.resize((56, 56), Image.Resampling.BICUBIC)
    elif image.width != image.height:
        side = max(image.size)
        square = Image.new("RGB", (side, side), tuple(int(value * 255) for value in MEAN))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        image = square
    plain = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    return plain(image, return_tensors="pt").pixel_values


@pytest.mark.parametrize("size", [(80, 40), (33, 90), (56, 56), (70, 71)], ids=str)
def test_pictures_become_squares(processor, size):
    image = picture(*size)
    pixels = processor.image_processor(image, return_tensors="pt").pixel_values
    torch.testing.assert_close(pixels, expected_pixels(processor, image))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_pictures_become_rgb(processor, mode):
    image = picture(56, 56, mode)
    inputs = processor(images=image, text=processor.image_token, return_tensors="pt")
    torch.testing.assert_close(inputs.pixel_values, expected_pixels(processor, image))


def test_pictures_are_turned_upright(processor, tmp_path):
    image, exif = picture(80, 40), Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    file = io.BytesIO()
    image.save(file, format="PNG", exif=exif)
    (tmp_path / "turned.png").write_bytes(file.getvalue())
    expected = expected_pixels(processor, image.transpose(Image.Transpose.ROTATE_270))
    by_name = processor(images=str(tmp_path / "turned.png"), text=processor.image_token, return_tensors="pt")
    torch.testing.assert_close(by_name.pixel_values, expected)
    if type(processor).__name__ == "LlavaProcessor":
        return  # a stock processor takes an open picture as it is
    opened = processor(images=Image.open(file), text=processor.image_token, return_tensors="pt")
    torch.testing.assert_close(opened.pixel_values, expected)


def conversation(*turns, image=True):
    messages = []
    for number, text in enumerate(turns):
        content = [{"type": "text", "text": text}]
        if number == 0 and image:
            content.insert(0, {"type": "image"})
        messages.append({"role": "assistant" if number % 2 else "user", "content": content})
    return messages


def test_a_prompt_is_the_original_one(processor):
    text = processor.apply_chat_template(conversation("What is it?"), add_generation_prompt=True)
    expected = {
        True: "<s>USER: <|image|>What is it? ASSISTANT:",
        False: f"<s>{SYSTEM} USER: <image>\nWhat is it? ASSISTANT:",
    }
    assert text == expected[is_owl2(processor)]


def test_turns_are_divided_as_in_the_original(processor):
    text = processor.apply_chat_template(conversation("A?", "B.", "C?", "D."))
    turns = "A? ASSISTANT: B.</s>USER: C? ASSISTANT: D.</s>"
    expected = {True: f"<s>USER: <|image|>{turns}", False: f"<s>{SYSTEM} USER: <image>\n{turns}"}
    assert text == expected[is_owl2(processor)]


def test_a_system_message_and_plain_strings(processor):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    assert text == "<s>Be brief. USER: Hi. ASSISTANT:"
    messages[0]["content"] = [{"type": "text", "text": "Be brief."}]
    assert processor.apply_chat_template(messages, add_generation_prompt=True) == text


def test_text_around_a_picture_is_tokenised_piece_by_piece(processor):
    """As the originals do: each piece on its own, the first alone with a begin token."""
    tokenizer = processor.tokenizer
    text = processor.apply_chat_template(conversation("What is it?"), add_generation_prompt=True)
    before, behind = text.removeprefix("<s>").split(processor.image_token)
    pieces = [tokenizer(piece, add_special_tokens=False).input_ids for piece in (before, behind)]
    inputs = processor(images=picture(80, 40), text=text, add_special_tokens=False, return_tensors="pt")
    vectors = 9 if is_owl2(processor) else 16
    assert inputs.input_ids[0].tolist() == [1, *pieces[0], *[CLASSES] * vectors, *pieces[1]]
    assert pieces[1][0] == tokenizer.convert_tokens_to_ids("▁") or is_owl2(processor)
    assert inputs.pixel_values.shape == (1, 3, 56, 56)
    templated = processor.apply_chat_template(
        [
            {
                "role": "user",
                "content": [{"type": "image", "image": picture(80, 40)}, {"type": "text", "text": "What is it?"}],
            }
        ],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert templated.input_ids.tolist() == inputs.input_ids.tolist()


def test_answers_are_marked_for_training(processor):
    messages = conversation("A?", "Bb.", "C?", "Dd.", image=False)
    batch = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, return_tensors="pt"
    )
    ids, mask = batch["input_ids"][0], torch.as_tensor(batch["assistant_masks"])[0].bool()
    assert processor.tokenizer.decode(ids[mask]).replace(" ", "") == "Bb.</s>Dd.</s>"
    prompt = processor.apply_chat_template(
        messages[:1], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )["input_ids"][0]
    # generation starts where the marked answer does
    assert ids[: len(prompt)].tolist() == prompt.tolist() and mask.nonzero()[0].item() == len(prompt)
