"""AesBench: asking a model, scoring its answers, and reporting them (section 5 of the paper).

Names are imported when they are first touched: a report loads no model.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from aesexpert.bench.errors import BenchError
    from aesexpert.bench.judge import to_judge, write_judgements
    from aesexpert.bench.loss import response_loss
    from aesexpert.bench.prompts import task_prompt
    from aesexpert.bench.report import write_report
    from aesexpert.bench.results import Results, read_results
    from aesexpert.bench.runner import run

_HOMES = {
    "BenchError": "errors",
    "Results": "results",
    "read_results": "results",
    "response_loss": "loss",
    "to_judge": "judge",
    "write_judgements": "judge",
    "run": "runner",
    "task_prompt": "prompts",
    "write_report": "report",
}

__all__ = [
    "BenchError",
    "Results",
    "read_results",
    "response_loss",
    "run",
    "task_prompt",
    "to_judge",
    "write_judgements",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
