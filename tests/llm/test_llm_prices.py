"""What a job costs, and what is missing where an extra is."""

import subprocess
import sys

import pytest

from aesexpert.llm import MissingExtraError, Price, Totals, known_price
from aesexpert.llm.answers import Reply
from aesexpert.llm.errors import needs_extra


def test_prices_are_known_with_and_without_a_date() -> None:
    assert known_price("gpt-4o") == known_price("gpt-4o-2024-08-06") == Price(2.5, 10.0)
    assert known_price("gpt-4o-mini-2024-07-18") == Price(0.15, 0.6)
    assert known_price("SmolLM2") is None


def test_totals_say_what_was_used() -> None:
    totals = Totals(Price(2.0, 8.0), answered=3, failed=1)
    totals.add(Reply("", "stop", 1_000_000, 500_000))
    assert totals.cost == 6.0
    assert str(totals) == (
        "3 answered (0 of them in the journal already), 1 failed, 1,000,000 tokens read and 500,000 written, $6.00"
    )
    assert "cost unknown: give --price" in str(Totals())


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'aesexpert\[llm\]'"), needs_extra("llm"):
        import no_such_package  # noqa: F401


def test_the_command_line_works_without_the_extra() -> None:
    code = """
import sys
for name in ("openai", "aiohttp", "pydantic", "nltk", "datatrove"):
    sys.modules[name] = None
from aesexpert.cli import main
try:
    main(["generate", ".", "--model", "gpt-4o"])
except SystemExit as exit_:
    print("status", exit_.code)
from aesexpert.bench import write_report
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "status 1" in result.stdout
    assert "pip install 'aesexpert[llm]'" in result.stderr
