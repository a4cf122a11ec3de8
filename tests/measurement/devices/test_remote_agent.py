import hashlib
import json
import shlex

import pytest

from edgekit.errors import BadInput, DeviceError
from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.remote_agent import RemoteAgent, agent_folder, ask_device
from tests import tiny
from tests.measurement.devices.conftest import leftovers

QUICK = {"kind": "latency", "model": "m", "warmup_seconds": 0.0, "min_runs": 10, "min_seconds": 0.0}


def test_a_latency_comes_home(server, device):
    with Connection(device, server.fingerprint) as connection:
        found = ask_device(connection, QUICK, tiny.tflite("int8"), 120.0)
    assert len(found["samples_ns"]) >= 10 and found["conditions"]["runtime"].startswith("ai-edge-litert ")
    assert found["sha256"] == hashlib.sha256(tiny.tflite("int8")).hexdigest()
    assert leftovers(server) == []


def test_several_take_turns(server, device):
    request = {**QUICK, "model": "a.tflite", "turns": 2}
    with (
        Connection(device, server.fingerprint) as connection,
        agent_folder(connection, {"a.tflite": tiny.tflite("int8")}) as folder,
        RemoteAgent(connection, folder, request, "m", 120.0) as first,
        RemoteAgent(connection, folder, request, "m", 120.0) as second,
    ):
        for agent in (first, second):
            agent.ready()
        for _ in range(2):
            first.turn()
            second.turn()
        assert len(first.answer()["samples_ns"]) >= 10 and len(second.answer()["samples_ns"]) >= 10


def test_a_file_that_fails_there(server, device):
    with (
        Connection(device, server.fingerprint) as connection,
        pytest.raises(BadInput, match="m on pi cannot be measured"),
    ):
        ask_device(connection, QUICK, b"no model", 120.0)
    assert leftovers(server) == []


def said(server, device, line: str, request=QUICK):
    """What comes of a device whose agent says a line of its own."""
    whole = f"printf '%s\\n' {shlex.quote(line)}"
    with Connection(device, server.fingerprint) as connection, agent_folder(connection, {}) as folder:
        server.command = whole
        with RemoteAgent(connection, folder, request, "m", 20.0) as agent:
            return agent.answer()


GOOD = {
    "schema": 1, "ok": True, "kind": "latency", "sha256": "0" * 64, "threads": 1, "batch": 1, "xnnpack": True,
    "init_ns": 1, "first_ns": 1, "memory": {"heap_bytes": 1, "peak_bytes": None, "reason": ""},
    "conditions": {"cpu": "x", "cores": 4, "machine": "aarch64", "runtime": "r", "delegate": {"name": None},
                   "features": ["a"]},
    "warmup_runs": 1, "samples_ns": [1, 2], "wall_ns": 3, "cpu_ns": 3, "switches": {}, "states": [{"mhz": 1.5}],
}  # fmt: skip


def test_an_answer_of_the_known_shape(server, device):
    assert said(server, device, json.dumps(GOOD)) == GOOD


@pytest.mark.parametrize(
    "changes",
    [
        {"samples_ns": []}, {"samples_ns": [1.5]}, {"samples_ns": [-1]}, {"samples_ns": "12"}, {"samples_ns": None},
        {"samples_ns": [10**30]}, {"sha256": "../x"}, {"conditions": {"cpu": "\u001b[2J"}}, {"conditions": []},
        {"kind": "memory"}, {"more": 1}, {"schema": 2}, {"ok": False}, {"states": [{"mhz": [1]}]},
        {"states": [{"mhz": "1"}]}, {"states": [{"mhz": 10**400}]}, {"samples_ns": [0]}, {"conditions": {}},
        {"conditions": {**GOOD["conditions"], "delegate": "x"}}, {"conditions": {**GOOD["conditions"], "mhz": "x"}},
        {"memory": {}}, {"memory": {"heap_bytes": "1"}},
        {"ok": False, "error": {"kind": "odd", "message": ""}}, {"ready": "no"},
    ],
)  # fmt: skip
def test_an_answer_of_another_shape(server, device, changes):
    with pytest.raises(DeviceError, match="pi gave an answer that is none") as refused:
        said(server, device, json.dumps({**GOOD, **changes}))
    assert str(refused.value).isprintable()


def test_an_agent_that_is_killed_or_has_no_runtime(server, device):
    with Connection(device, server.fingerprint) as connection, agent_folder(connection, {}) as folder:
        for command, words in (("kill -9 $$", "ended by signal KILL"), ("exec nothing", "has no python3")):
            server.command = command
            with RemoteAgent(connection, folder, QUICK, "m", 20.0) as agent, pytest.raises(DeviceError, match=words):
                agent.answer()


def test_an_agent_that_hangs(server, device):
    with Connection(device, server.fingerprint) as connection, agent_folder(connection, {}) as folder:
        server.command = "sleep 100"
        with (
            RemoteAgent(connection, folder, QUICK, "m", 0.5) as agent,
            pytest.raises(DeviceError, match="no answer within"),
        ):
            agent.answer()
    assert leftovers(server) == []


def test_what_is_not_asked_of_devices(server, device):
    with Connection(device, server.fingerprint) as connection, pytest.raises(DeviceError, match="kind gpu"):
        ask_device(connection, {"kind": "gpu", "model": "m"}, b"", 1.0)
