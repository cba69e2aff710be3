"""The records of a source folder: pictures, critiques, question-answer pairs and benchmark questions."""

from dataclasses import dataclass, field
from pathlib import Path

from aesexpert.data.problems import Problem
from aesexpert.taxonomy import (
    AnswerFormat,
    Dimension,
    FeedbackPart,
    Grade,
    QuestionType,
    Source,
    SourceDataset,
    Split,
)


@dataclass(frozen=True)
class Picture:
    """A picture of a source folder.

    Args:
        image_id (`str`): Its name in all files.
        path (`Path`): Where it lies.
        split (`Split`): Which part of the data it belongs to.
        source (`Source`, *optional*): Natural, artistic or AI-generated; none if not known.
        dataset (`SourceDataset`): The data set it was sampled from, `other` if none of Table 1.
        scene (`str`): What it shows, in a word or two; can be empty.
        extra (`dict[str, str]`): The further columns of its row.
    """

    image_id: str
    path: Path
    split: Split
    source: Source | None
    dataset: SourceDataset
    scene: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def original(self) -> str:
        """The `image_id` of the picture it was made from, its own if it was made from none."""
        return self.extra.get("original") or self.image_id

    @property
    def is_damaged(self) -> bool:
        """Whether its row names a damage done on purpose."""
        return self.extra.get("degradation", "") not in ("", "none")


@dataclass(frozen=True)
class Feedback:
    """What one person wrote in answer to one of the three progressive questions (section 3.2 of the paper).

    Args:
        part (`FeedbackPart`, *optional*): Which of the three; none if not known.
        question (`str`): The question as it was put.
        critique (`str`): The answer.
        grade (`Grade`, *optional*): The grade given with it.
        annotator (`str`): The person's pseudonym.
    """

    part: FeedbackPart | None
    question: str
    critique: str
    grade: Grade | None
    annotator: str


@dataclass(frozen=True)
class Question:
    """A question-answer pair of AesVQA (section 3.3 of the paper).

    Args:
        question (`str`): The question.
        answer (`str`): The answer; the text of the right option when there are options.
        options (`tuple[str, ...]`): The options of a multiple-choice question, else empty.
        question_type (`QuestionType`): How it is asked.
        dimension (`Dimension`, *optional*): What it is about; none if not known.
        format (`AnswerFormat`): Whether it is open-ended or multiple-choice.
    """

    question: str
    answer: str
    options: tuple[str, ...]
    question_type: QuestionType
    dimension: Dimension | None
    format: AnswerFormat


@dataclass(frozen=True)
class ChoiceQuestion:
    """A question of AesBench that is answered by choosing an option.

    Args:
        question (`str`): The question.
        options (`tuple[str, ...]`): Its options.
        answer (`str`, *optional*, defaults to `""`): The text of the right option; empty when it is not to be scored.
        dimension (`str`, *optional*, defaults to `""`): What it is about.
        question_type (`str`, *optional*, defaults to `""`): How it is asked.
    """

    question: str
    options: tuple[str, ...]
    answer: str = ""
    dimension: str = ""
    question_type: str = ""


@dataclass(frozen=True)
class Interpretation:
    """The question of AesBench that is answered in prose, and a description that a judge compares with.

    Args:
        question (`str`): The question.
        reference (`str`, *optional*, defaults to `""`): The description; empty when there is none.
    """

    question: str
    reference: str = ""


@dataclass(frozen=True)
class BenchRecord:
    """What AesBench asks about one picture. A task that is not asked is `None`.

    Args:
        image_id (`str`): The picture's name.
        picture (`Picture`): The picture.
        perception (`ChoiceQuestion`, *optional*): AesP.
        empathy (`ChoiceQuestion`, *optional*): AesE.
        assessment (`ChoiceQuestion`, *optional*): AesA.
        interpretation (`Interpretation`, *optional*): AesI.
    """

    image_id: str
    picture: Picture
    perception: ChoiceQuestion | None = None
    empathy: ChoiceQuestion | None = None
    assessment: ChoiceQuestion | None = None
    interpretation: Interpretation | None = None


@dataclass(frozen=True)
class SourceFolder:
    """A source folder that was read and found right.

    Args:
        path (`Path`): The folder.
        pictures (`list[Picture]`): Its pictures, in the order of `sources.csv`.
        feedback (`dict[str, list[Feedback]]`): Critiques by `image_id`, in the order of `feedback.jsonl`.
        questions (`dict[str, list[Question]]`): Question-answer pairs by `image_id`, in the order of `vqa.jsonl`.
        problems (`list[Problem]`): Why rows were skipped; empty unless skipping was asked for.
    """

    path: Path
    pictures: list[Picture]
    feedback: dict[str, list[Feedback]]
    questions: dict[str, list[Question]]
    problems: list[Problem] = field(default_factory=list)
