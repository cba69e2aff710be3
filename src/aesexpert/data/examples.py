"""The rows of AesMMIT, made from a source folder."""

from collections.abc import Iterable, Iterator
from typing import Any

from aesexpert.data.conversations import to_instructions
from aesexpert.data.records import Feedback, Picture, Question, SourceFolder


def examples(source: SourceFolder, pictures: Iterable[Picture]) -> Iterator[dict[str, Any]]:
    """Yields the rows of pictures with all columns, labels as texts and picture files byte for byte.

    Args:
        source (`SourceFolder`): The source folder.
        pictures (`Iterable[Picture]`): Which of its pictures. One without annotations has empty lists.

    Yields:
        `dict[str, Any]`: A row for `ALL_FEATURES.encode_example`.
    """
    for picture in pictures:
        image = {"bytes": picture.path.read_bytes(), "path": picture.path.name}
        yield describe(source, picture) | {"image": image}


def describe(source: SourceFolder, picture: Picture) -> dict[str, Any]:
    """Gives the row of a picture without the picture itself.

    Args:
        source (`SourceFolder`): The source folder.
        picture (`Picture`): One of its pictures.

    Returns:
        `dict[str, Any]`: All columns but `image`, labels as texts.
    """
    feedback = source.feedback.get(picture.image_id, [])
    questions = source.questions.get(picture.image_id, [])
    return {
        "image_id": picture.image_id,
        "source": picture.source.value if picture.source else None,
        "dataset": picture.dataset.value,
        "scene": picture.scene,
        "original": picture.original,
        "feedbacks": [_feedback_row(entry) for entry in feedback],
        "questions": [_question_row(entry) for entry in questions],
        "instructions": to_instructions(feedback, questions),
    }


def _feedback_row(feedback: Feedback) -> dict[str, Any]:
    return {
        "part": feedback.part.value if feedback.part else None,
        "question": feedback.question,
        "critique": feedback.critique,
        "grade": feedback.grade.value if feedback.grade else None,
        "annotator": feedback.annotator,
    }


def _question_row(question: Question) -> dict[str, Any]:
    return {
        "question": question.question,
        "answer": question.answer,
        "options": list(question.options),
        "question_type": question.question_type.value,
        "dimension": question.dimension.value if question.dimension else None,
        "format": question.format.value,
    }
