"""The columns of AesMMIT."""

from datasets import ClassLabel, Features, Image, List, Value

from aesexpert.taxonomy import (
    AnswerFormat,
    Dimension,
    FeedbackPart,
    Grade,
    InstructionKind,
    QuestionType,
    Source,
    SourceDataset,
)


CONFIGS = ("instructions", "feedback", "vqa")
"""The three ways to load AesMMIT; the first is the default."""

# `original` is the picture that a damaged copy was made from, and the picture itself for all others.
_SHARED = {
    "image_id": Value("string"),
    "image": Image(),
    "source": ClassLabel(names=list(map(str, Source))),
    "dataset": ClassLabel(names=list(map(str, SourceDataset))),
    "scene": Value("string"),
    "original": Value("string"),
}

_OWN = {
    "instructions": {
        "instructions": List(
            {
                "prompt": Value("string"),
                "response": Value("string"),
                "kind": ClassLabel(names=list(map(str, InstructionKind))),
            }
        )
    },
    "feedback": {
        "feedbacks": List(
            {
                "part": ClassLabel(names=list(map(str, FeedbackPart))),
                "question": Value("string"),
                "critique": Value("string"),
                "grade": ClassLabel(names=list(map(str, Grade))),
                "annotator": Value("string"),
            }
        )
    },
    "vqa": {
        "questions": List(
            {
                "question": Value("string"),
                "answer": Value("string"),
                "options": List(Value("string")),
                "question_type": ClassLabel(names=list(map(str, QuestionType))),
                "dimension": ClassLabel(names=list(map(str, Dimension))),
                "format": ClassLabel(names=list(map(str, AnswerFormat))),
            }
        )
    },
}

FEATURES: dict[str, Features] = {config: Features(_SHARED | _OWN[config]) for config in CONFIGS}
"""The columns of each configuration. A critique without a grade has `None` there, and so has a label not known."""

ALL_FEATURES = Features(_SHARED | _OWN["feedback"] | _OWN["vqa"] | _OWN["instructions"])
"""The columns of the files, which all configurations share."""
