"""`edgekit compress` in this process, with a bench as short as it goes, as --json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgekit.cli import main

BENCH = ("--set", "bench.runs=20", "--set", "bench.seconds=0", "--set", "bench.processes=1")


def compress(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, dict[str, Any]]:
    """The exit code and the envelope; asserts that there is no traceback."""
    code = main(["compress", *map(str, arguments), *BENCH, "--json"])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, json.loads(captured.out)
