"""The metric's page on the Hub: answers and references as JSON lists in, scores out."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import evaluate
import gradio as gr


MODULE = Path(__file__).with_name("aesbench.py")
TASKS = ["perception", "empathy", "assessment"]
ANSWERS = ["A) High", "The answer is low."]
QUESTION = {"options": ["High", "Medium", "Low"], "dimension": "", "question_type": ""}
REFERENCES = [{"answer": "High", **QUESTION, "source": "NI"}, {"answer": "Medium", **QUESTION, "source": "AGI"}]


@cache
def load(task: str) -> evaluate.EvaluationModule:
    """Loads the metric for a task, once."""
    return evaluate.load(str(MODULE), task)


def score(task: str, answers: str, references: str) -> dict[str, Any]:
    """Scores what stands in the two fields."""
    try:
        return load(task).compute(predictions=json.loads(answers), references=json.loads(references))
    except (ValueError, TypeError, KeyError) as error:
        message = f"expected two JSON lists of the same length, as in the example ({type(error).__name__}: {error})"
        raise gr.Error(message) from error


if __name__ == "__main__":
    gr.Interface(
        score,
        [
            gr.Dropdown(TASKS, value="assessment", label="Task"),
            gr.Code(json.dumps(ANSWERS, indent=2), language="json", label="Answers: strings"),
            gr.Code(json.dumps(REFERENCES, indent=2), language="json", label="References: questions and answers"),
        ],
        gr.JSON(label="Scores"),
        title="AesBench",
        description="Accuracy of a model's answers about the aesthetics of pictures, as in the AesExpert paper.",
        flagging_mode="never",
    ).launch()
