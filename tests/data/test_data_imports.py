import subprocess
import sys

import pytest

import aesexpert.data


@pytest.mark.parametrize("name", aesexpert.data.__all__)
def test_every_name_is_there_and_documented(name: str):
    value = getattr(aesexpert.data, name)
    assert name in dir(aesexpert.data)
    assert name in ("ALL_FEATURES", "CONFIGS", "FEATURES") or value.__doc__


def test_unknown_names():
    with pytest.raises(AttributeError, match="has no attribute 'read_sauce'"):
        aesexpert.data.read_sauce  # noqa: B018


def test_reading_needs_neither_datasets_nor_torch():
    code = """
import sys
from aesexpert.data import read_bench, read_source, to_instructions, with_validation
from aesexpert.data.conversations import lettered
assert not {"datasets", "torch", "transformers", "pyarrow", "numpy"} & set(sys.modules), "heavy imports"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
