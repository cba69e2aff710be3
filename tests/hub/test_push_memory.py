"""A push of two gigabytes, as `benchmarks/pushing.py` measures it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_gigabytes_are_read_once_in_bounded_memory(root: Path, tmp_path: Path):
    line = [sys.executable, str(root / "benchmarks" / "pushing.py"), "--scratch", str(tmp_path)]
    online = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    result = subprocess.run(line, capture_output=True, text=True, timeout=1800, env=online)
    assert result.returncode == 0, result.stderr[-3000:]
    found = re.findall(r"([\d.]+) GB of data, read ([\d.]+) times, peak memory (\d+) MB, (\d+) files", result.stdout)
    assert len(found) == 2, result.stdout
    for size, times, memory, _ in found:
        assert float(size) >= 1.9
        assert float(times) < 1.1
        assert int(memory) < 1000
    sent = [int(files) for *_, files in found]
    assert sent[0] >= 8 and sent[1] == 0
