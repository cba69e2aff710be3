"""The paper's vocabulary, once: every label that data, models and reports use.

Values are the strings that stand in files. Sources: section 3.1 and Table 1 (pictures), section 3.2 (critiques),
section 3.3 (instructions), Tables 3-7 (AesBench).
"""

from enum import StrEnum


class Split(StrEnum):
    """Which part of the data a picture belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Source(StrEnum):
    """Where a picture comes from (Table 1): natural, artistic or AI-generated."""

    NI = "NI"
    AI = "AI"
    AGI = "AGI"


class SourceDataset(StrEnum):
    """The 13 data sets that AesMMIT samples (Table 1), and `other` for everything else."""

    AADB = "AADB"
    PARA = "PARA"
    TAD66K = "TAD66K"
    LITE = "LITE"
    IMPRESSIONS = "Impressions"
    SPAQ = "SPAQ"
    KONIQ_10K = "KonIQ-10K"
    BAID = "BAID"
    CAD = "CAD"
    ARTEMIS = "ArtEmis"
    DIFFUSIONDB = "DiffusionDB"
    AGIQA_3K = "AGIQA-3K"
    AGIQA_1K = "AGIQA-1K"
    OTHER = "other"


class Grade(StrEnum):
    """The five aesthetic grades, best first (section 3.2, after ITU-R BT.500-13)."""

    EXCELLENT = "excellent"
    GOOD = "good"
    AVERAGE = "average"
    POOR = "poor"
    BAD = "bad"


class FeedbackPart(StrEnum):
    """The three progressive questions asked about a picture (section 3.2)."""

    GRADE = "grade"
    REASONS = "reasons"
    FEELINGS = "feelings"


class InstructionKind(StrEnum):
    """The two kinds of AesMMIT instruction (section 3.3)."""

    DESCRIPTION = "description"
    VQA = "vqa"


class Dimension(StrEnum):
    """What an AesVQA question is about (section 1, stage 2)."""

    QUALITY = "quality"
    ATTRIBUTE = "attribute"
    EMOTION = "emotion"
    INTERPRETATION = "interpretation"
    ENHANCEMENT = "enhancement"
    CONTEXT_REASONING = "context reasoning"


class QuestionType(StrEnum):
    """How a question is asked (section 3.3)."""

    YES_NO = "yes-no"
    WHAT = "what"
    HOW = "how"
    WHY = "why"
    OTHER = "other"


class AnswerFormat(StrEnum):
    """How an AesVQA question is answered (section 3.3)."""

    OPEN_ENDED = "open-ended"
    MULTIPLE_CHOICE = "multiple-choice"


class Task(StrEnum):
    """The four tasks of AesBench: AesP, AesE, AesA and AesI (section 5.1)."""

    PERCEPTION = "perception"
    EMPATHY = "empathy"
    ASSESSMENT = "assessment"
    INTERPRETATION = "interpretation"


class PerceptionDimension(StrEnum):
    """The dimensions of AesP (Table 4)."""

    TECHNICAL_QUALITY = "technical quality"
    COLOR_AND_LIGHT = "color and light"
    COMPOSITION = "composition"
    CONTENT = "content"


class EmpathyDimension(StrEnum):
    """The dimensions of AesE (Table 5)."""

    EMOTION = "emotion"
    INTEREST = "interest"
    UNIQUENESS = "uniqueness"
    VIBE = "vibe"


class Assessment(StrEnum):
    """The three answers of AesA, best first."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class Criterion(StrEnum):
    """What a judge scores in an AesI answer, each from 0 to 2 (Table 7)."""

    RELEVANCE = "relevance"
    PRECISION = "precision"
    COMPLETENESS = "completeness"


CHOICE_TASKS = (Task.PERCEPTION, Task.EMPATHY, Task.ASSESSMENT)
"""The tasks answered by choosing an option."""

DATASET_SOURCES: dict[SourceDataset, Source] = {
    **dict.fromkeys(list(SourceDataset)[:7], Source.NI),
    **dict.fromkeys(list(SourceDataset)[7:10], Source.AI),
    **dict.fromkeys(list(SourceDataset)[10:13], Source.AGI),
}
"""The source of each data set of Table 1."""

PAPER_SAMPLES: dict[SourceDataset, int] = dict(
    zip(SourceDataset, (1096, 3694, 4003, 1087, 152, 1153, 791, 2970, 59, 1957, 4228, 570, 144), strict=False)
)
"""How many pictures the paper took from each data set (Table 1); 21,904 in all."""
