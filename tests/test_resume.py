"""kill -9 at random moments, then the same command: the run finishes, and its files are those of an undisturbed one."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.test_pipeline import FIELDS

KILLS = 4


def command(out: Path) -> list[str]:
    sets = [part for name, value in {**FIELDS, "train.epochs": 4}.items() if name != "model.name"
            for part in ("--set", f"{name}={json.dumps(value)}")]  # fmt: skip
    return [sys.executable, "-m", "edgekit", "compress", "--model", "resnet8", *sets, "--out", str(out), "--json"]


def run(out: Path) -> tuple[float, dict[str, Any]]:
    started = time.monotonic()
    ended = subprocess.run(command(out), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:] + ended.stdout[-2000:]
    return time.monotonic() - started, json.loads(ended.stdout)["result"]


def without_times(value: Any) -> Any:
    """Results but for times, dates, memory (which varies by pages) and what follows from them."""
    timed = {"started", "finished", "seconds", "latency_ms", "latency", "heap_bytes", "peak_bytes", "verdict", "doubts",
             "folder", "chosen", "violations", "inside"}  # fmt: skip
    if isinstance(value, dict):
        return {name: without_times(inner) for name, inner in value.items() if name not in timed}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path) -> None:
    seconds, undisturbed = run(tmp_path / "undisturbed")
    moments = random.Random(0)
    out, round_ = tmp_path / "killed-0", 0
    killed = 0
    while killed < KILLS:
        with subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(timeout=moments.uniform(0.1, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
        if process.returncode == 0:  # finished between two kills: begin another one
            round_ += 1
            out = tmp_path / f"killed-{round_}"
    _, resumed = run(out)
    assert without_times(resumed) == without_times(undisturbed)
    for number in range(round_ + 1):
        for made in sorted((tmp_path / "undisturbed" / "artifacts").glob("*.tflite")):
            assert (tmp_path / f"killed-{number}" / "artifacts" / made.name).read_bytes() == made.read_bytes()
