"""The metric's page, from the files that are pushed, in a process of its own."""

import json
import os
import re
import subprocess
import sys

import pytest

from aesexpert.hub.metric import metric_publication
from ports import free_port


pytestmark = pytest.mark.slow

OPTIONS = {"options": ["High", "Medium", "Low"], "dimension": "", "question_type": ""}
ANSWERS = json.dumps(["A) High", "The answer is low."])
REFERENCES = json.dumps([{"answer": answer, **OPTIONS, "source": "NI"} for answer in ("High", "Medium")])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A client of the running page."""
    from gradio_client import Client

    folder = tmp_path_factory.mktemp("space")
    for name, content in metric_publication("acme/aesbench").files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(free_port()), "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, "-u", "app.py"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            yield Client(address.group(), verbose=False)
        finally:
            process.terminate()


def test_the_page_scores_answers(page):
    scores = page.predict("assessment", ANSWERS, REFERENCES, api_name="/score")
    assert (scores["assessment"], scores["assessment/n"], scores["assessment/unparsed"]) == (0.5, 2, 0)


@pytest.mark.parametrize(
    ("answers", "references", "message"),
    [
        ("not JSON", REFERENCES, "JSONDecodeError"),
        ("5", REFERENCES, "TypeError"),
        ('{"a": 1}', REFERENCES, "KeyError"),
        ('["A"]', REFERENCES, r"Mismatch in the number of predictions \(1\) and references \(2\)"),
        (ANSWERS, '[{"answer": "High"}, {"answer": "Low"}]', "KeyError: 'options'"),
    ],
)
def test_the_page_says_what_is_wrong(page, answers, references, message):
    with pytest.raises(Exception, match=f"expected two JSON lists of the same length.*{message}"):
        page.predict("assessment", answers, references, api_name="/score")
