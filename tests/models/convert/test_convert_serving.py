"""A converted stock folder in the hands of programs that know nothing of this library."""

import base64
import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from transformers import pipeline

from parity import CASES, convert, with_tokenizer
from ports import free_port


QUESTION = "What is it?"


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    case, folder = CASES["llava"], tmp_path_factory.mktemp("serving")
    source = with_tokenizer(case.checkpoint, folder / "source", max_position_embeddings=2048)
    return convert(source, folder / "stock", *case.arguments())


def conversation(image):
    return [{"role": "user", "content": [image, {"type": "text", "text": QUESTION}]}]


def answer_of_a_pipeline(folder):
    asked = conversation({"type": "image", "image": Image.new("RGB", (80, 40), "teal")})
    generate = pipeline("image-text-to-text", model=str(folder), dtype="float32")
    (output,) = generate(text=asked, max_new_tokens=8, return_full_text=False)
    return output["generated_text"]


def test_a_pipeline_answers_about_a_picture(stock):
    assert answer_of_a_pipeline(stock)


@pytest.mark.slow
def test_transformers_serve_answers_the_same(stock, tmp_path):
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(stock), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        assert ask(port, stock, server, tmp_path / "log") == answer_of_a_pipeline(stock)
    finally:
        server.terminate()
        server.wait(timeout=60)


def ask(port, folder, server, log):
    """Asks as an OpenAI client does, as soon as the server is there."""
    file = io.BytesIO()
    Image.new("RGB", (80, 40), "teal").save(file, format="PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    messages = conversation({"type": "image_url", "image_url": {"url": url}})
    body = {"model": str(folder), "messages": messages, "max_tokens": 8, "temperature": 0, "stream": False}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    while True:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode() + log.read_text()[-2000:]) from error
        except OSError:
            time.sleep(1)
