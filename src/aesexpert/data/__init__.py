"""AesMMIT: reading source folders, building and describing the data set, and turning it into conversations.

Names are imported when they are first touched: reading a source folder needs Pillow, building needs datasets.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from aesexpert.data.ava_comments import read_ava_comments
    from aesexpert.data.builder import AesMMIT
    from aesexpert.data.conversations import (
        Instruction,
        choice_question,
        lettered,
        multiple_choice_prompt,
        to_instructions,
        to_messages,
        to_prompt_completion,
    )
    from aesexpert.data.export import export_llava
    from aesexpert.data.features import ALL_FEATURES, CONFIGS, FEATURES
    from aesexpert.data.llava_json import read_llava_json
    from aesexpert.data.parquet import write_dataset
    from aesexpert.data.problems import Problem, SourceError
    from aesexpert.data.records import (
        BenchRecord,
        ChoiceQuestion,
        Feedback,
        Interpretation,
        Picture,
        Question,
        SourceFolder,
    )
    from aesexpert.data.source import read_bench, read_source
    from aesexpert.data.splits import by_split, with_validation
    from aesexpert.data.statistics import Statistics, dataset_statistics, source_statistics

_HOMES = {
    "ALL_FEATURES": "features",
    "AesMMIT": "builder",
    "BenchRecord": "records",
    "CONFIGS": "features",
    "ChoiceQuestion": "records",
    "FEATURES": "features",
    "Feedback": "records",
    "Instruction": "conversations",
    "Interpretation": "records",
    "Picture": "records",
    "Problem": "problems",
    "Question": "records",
    "SourceError": "problems",
    "SourceFolder": "records",
    "Statistics": "statistics",
    "by_split": "splits",
    "choice_question": "conversations",
    "dataset_statistics": "statistics",
    "export_llava": "export",
    "lettered": "conversations",
    "multiple_choice_prompt": "conversations",
    "read_ava_comments": "ava_comments",
    "read_llava_json": "llava_json",
    "read_bench": "source",
    "read_source": "source",
    "source_statistics": "statistics",
    "to_instructions": "conversations",
    "to_messages": "conversations",
    "to_prompt_completion": "conversations",
    "with_validation": "splits",
    "write_dataset": "parquet",
}

__all__ = [
    "ALL_FEATURES",
    "CONFIGS",
    "FEATURES",
    "AesMMIT",
    "BenchRecord",
    "ChoiceQuestion",
    "Feedback",
    "Instruction",
    "Interpretation",
    "Picture",
    "Problem",
    "Question",
    "SourceError",
    "SourceFolder",
    "Statistics",
    "by_split",
    "choice_question",
    "dataset_statistics",
    "export_llava",
    "lettered",
    "multiple_choice_prompt",
    "read_ava_comments",
    "read_bench",
    "read_llava_json",
    "read_source",
    "source_statistics",
    "to_instructions",
    "to_messages",
    "to_prompt_completion",
    "with_validation",
    "write_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
