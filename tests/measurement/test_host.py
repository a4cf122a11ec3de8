import os
import signal
import sys

import pytest

from edgekit.errors import BadInput, DeviceError
from edgekit.measurement.host import AgentProcess, ask
from tests import tiny


def answering(code: str, seconds: float = 30.0) -> AgentProcess:
    """A process that says what an agent could."""
    return AgentProcess([sys.executable, "-c", code], "m.tflite", seconds)


def test_an_answer():
    found = ask({"kind": "memory", "model": str(tiny.path("int8"))}, 60.0)
    assert found["kind"] == "memory" and found["init_ns"] > 0


def test_lines_of_the_runtimes_own_are_passed_over():
    code = """print("INFO: hello"); print("[1]"); print('{"x": 1}'); print('{"ok": true, "n": 2}')"""
    with answering(code) as agent:
        assert agent.answer() == {"ok": True, "n": 2}


def test_turns():
    code = """
for turn in range(2):
    print('{"ready": %d}' % turn, flush=True)
    assert input() == "go"
print('{"ok": true}')
"""
    with answering(code) as agent:
        agent.ready()
        agent.turn()
        agent.turn()
        assert agent.answer() == {"ok": True}


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            BadInput,
            "m.tflite crashes the runtime (signal 11)",
        ),
        ("raise SystemExit('no numpy here')", DeviceError, "The measuring process failed: no numpy here"),
        ("pass", DeviceError, "it gave no answer"),
        (
            """print('{"ok": false, "error": {"kind": "model", "message": "odd"}}')""",
            BadInput,
            "cannot be measured: odd",
        ),
        ("""print('{"ok": false, "error": {"kind": "runtime", "message": "none"}}')""", DeviceError, "measured: none"),
        (
            """print('{"ok": false, "error": {"kind": "model", "message": '
            '"Didn\\'t find op for builtin opcode \\'FULLY_CONNECTED\\' version \\'12\\'. An older"}}')""",
            BadInput,
            "m.tflite needs version 12 of FULLY_CONNECTED, which the runtime there does not have",
        ),
    ],
)
def test_what_goes_wrong_is_a_sentence(code, error, words):
    with answering(code) as agent, pytest.raises(error) as caught:
        agent.answer()
    assert words in caught.value.fact


def test_what_hangs_is_ended():
    with answering("import time; time.sleep(600)", 0.5) as agent:
        with pytest.raises(BadInput, match="did not finish within"):
            agent.answer()
        process = agent._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
