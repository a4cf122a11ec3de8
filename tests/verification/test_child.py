"""Agents that crash, hang, flood or lie are rows with a reason, and nothing of them is left."""

import base64
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgekit.measurement.answers import LARGEST, Answers
from edgekit.verification.child import Failed, ask, read_answer, run


def said_by(program: str, seconds: float = 20.0) -> bytes | Failed:
    return run([sys.executable, "-I", "-c", program], b"given", seconds)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", "crashed (SIGABRT)"),
        ("import sys; print('no such model', file=sys.stderr); sys.exit(3)", "ended with code 3: no such model"),
        ("pass", "gave no answer: it said nothing"),
        (f"import sys; sys.stdout.write('x' * {LARGEST + 2})", "more than 64 MB"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "crashed (SIGKILL)"),
    ],
)
def test_what_goes_wrong_is_a_reason(program: str, reason: str) -> None:
    found = said_by(program)
    assert isinstance(found, Failed) and reason in found.reason and found.reason.isprintable()


@pytest.mark.parametrize("program", ["import time; time.sleep(60)", "import os, time; os.close(1); time.sleep(60)"])
def test_one_that_hangs_is_ended(program: str) -> None:
    started = time.monotonic()
    found = said_by(program, 0.5)
    assert isinstance(found, Failed) and "did not finish" in found.reason and time.monotonic() - started < 10


def test_its_children_are_ended_too(tmp_path) -> None:
    mark = tmp_path / "pid"
    inner = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    outer = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {inner!r}]); time.sleep(60)"
    assert isinstance(said_by(outer, 3.0), Failed)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{mark.read_text()}/stat").read_text().split()[2]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child of the child still runs")


def answer(**changes: object) -> dict[str, object]:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    output = {"dtype": "float32", "shape": [2, 3], "data": base64.b64encode(values.tobytes()).decode()}
    return {"schema": 1, "ok": True, "kind": "answers", "sha256": "0" * 64, "runtime": "r 1", "outputs": [output],
            "notes": {}, **changes}  # fmt: skip


def test_an_answer_behind_a_runtimes_own_lines() -> None:
    found = read_answer(b"INFO: hello\n" + json.dumps(answer()).encode())
    assert isinstance(found, Answers)
    assert np.array_equal(found.arrays()[0], np.arange(6).reshape(2, 3))


GOOD = answer()["outputs"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2}, {"more": 1}, {"outputs": []}, {"sha256": "x"}, {"runtime": "\x1b[2J"}, {"notes": {"a": {}}},
        {"outputs": [{**GOOD, "shape": [2, 4]}]}, {"outputs": [{**GOOD, "shape": [-2, -3]}]},
        {"outputs": [{**GOOD, "dtype": "object"}]}, {"outputs": [{**GOOD, "data": "#"}]}, {"ok": "yes"},
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_none(changes: dict[str, object]) -> None:
    found = read_answer(json.dumps(answer(**changes)).encode())
    assert isinstance(found, Failed) and "answer that is none" in found.reason and found.reason.isprintable()


@pytest.mark.parametrize("said", [b"", b"[" * 100_000, b"{}", b"null", b'{"ok": false}', b"\xff\xfe"])
def test_what_is_no_answer(said: bytes) -> None:
    assert isinstance(read_answer(said), Failed)


def test_a_refusal_is_told_in_its_own_words() -> None:
    assert read_answer(b'{"ok": false, "error": {"message": "no\\u001b"}}') == Failed("no\\x1b")


def test_a_program_that_is_not_there() -> None:
    assert isinstance(ask(["/nowhere/python"], {}, 5.0), Failed)
