"""Converting takes the memory of a shard, not of a model."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("safetensors", "float16"), ("safetensors", "float32"), ("bin", "float16"), ("bin", "bfloat16")],
)
def test_peak_memory_stays_under_one_shard_and_a_constant(root, suffix, dtype):
    command = [sys.executable, str(root / "benchmarks" / "conversion_memory.py"), "--json"]
    result = subprocess.run(
        [*command, "--suffix", suffix, "--dtype", dtype, "--layers", "60"], check=True, capture_output=True, text=True
    )
    measured = json.loads(result.stdout)
    bound = measured["shard"] + 1.5e9
    assert measured["before"] + measured["bytes"] > bound, "the model is too small to tell a whole model from a shard"
    assert measured["peak"] < bound, measured
