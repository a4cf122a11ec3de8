import ast
import hashlib
import json
import subprocess
import sys
import time

import pytest

from edgekit.measurement.agent import state
from edgekit.measurement.host import AGENT
from tests import tiny


def ask(request):
    ran = subprocess.run([sys.executable, "-P", str(AGENT)], input=json.dumps(request), capture_output=True, text=True)
    return ran.returncode, json.loads(ran.stdout)


def test_the_agent_is_one_file_of_numpy_and_the_standard_library():
    tree = ast.parse(AGENT.read_text())
    names = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert names - set(sys.stdlib_module_names) == {"numpy"}


def test_the_agent_answers_raw_samples():
    code, found = ask({"model": str(tiny.path("int8")), "warmup_seconds": 0.01, "min_runs": 30, "min_seconds": 0.05})
    assert code == 0 and found["ok"] and found["schema"] == 1
    assert len(found["samples_ns"]) >= 30 and sum(found["samples_ns"]) <= 0.2e9
    assert found["sha256"] == hashlib.sha256(tiny.tflite("int8")).hexdigest()
    assert found["warmup_runs"] >= 5 and found["init_ns"] > 0 and found["first_ns"] > 0 and found["batch"] == 1
    assert found["conditions"]["delegate"]["name"] == "XNNPACK"
    assert found["conditions"]["runtime"].startswith("ai-edge-litert ")
    assert set(found["switches"]) == {"voluntary", "involuntary"}
    assert 0 < found["cpu_ns"] < 1.05 * found["wall_ns"] and sum(found["samples_ns"]) <= found["wall_ns"]
    assert {"cpu", "features", "governor", "load", "mhz", "celsius"} <= set(found["conditions"])


def test_the_agent_runs_at_least_the_seconds_asked_for():
    started = time.perf_counter()
    _, found = ask({"model": str(tiny.path("int8")), "warmup_seconds": 0.0, "min_runs": 1, "min_seconds": 0.5})
    assert time.perf_counter() - started > 0.5 and sum(found["samples_ns"]) > 0.25e9


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's count")
def test_heap_repeats_and_grows_with_the_file():
    def heap(path):
        found = ask({"kind": "memory", "model": str(path)})[1]
        assert "samples_ns" not in found
        return found["memory"]["heap_bytes"]

    small = [heap(tiny.path("float32")) for _ in range(3)]
    assert max(small) - min(small) <= 4096
    for path in tiny.real_int8():
        assert heap(path) > min(small) + 50_000


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        ({"model": "/nowhere.tflite"}, "model", "/nowhere.tflite: No such file"),
        ({"kind": "gossip", "model": "x"}, "request", "unknown kind 'gossip'"),
        ({}, "request", "model"),
        ([], "request", "TypeError"),
        ({"model": "x", "min_runs": 0}, "request", "min_runs is 0, and has to be one or more"),
        ({"model": "x", "threads": -1}, "request", "threads is -1"),
    ],
)
def test_the_agent_answers_errors(request_, kind, words):
    code, found = ask(request_)
    assert code == 1 and not found["ok"] and found["error"]["kind"] == kind and words in found["error"]["message"]


def test_turns_wait_for_the_host():
    request = {"model": str(tiny.path("int8")), "min_runs": 10, "min_seconds": 0, "warmup_seconds": 0, "turns": 3}
    with subprocess.Popen(
        [sys.executable, "-P", str(AGENT), json.dumps(request)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as agent:  # fmt: skip
        for turn in range(3):
            assert json.loads(agent.stdout.readline()) == {"ready": turn}
            agent.stdin.write("go\n")
            agent.stdin.flush()
        assert len(json.loads(agent.stdout.readline())["samples_ns"]) == 10


def test_an_agent_whose_host_is_gone_ends():
    request = {"model": str(tiny.path("int8")), "min_runs": 1, "min_seconds": 0, "warmup_seconds": 0, "turns": 2}
    ended = subprocess.run(
        [sys.executable, "-P", str(AGENT), json.dumps(request)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1 and "the host is gone" in ended.stderr


def test_the_state_of_a_board(tmp_path):
    """As a Raspberry Pi 4 shows it."""
    files = {
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000",
        "devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "1800000",
        "devices/platform/soc/soc:firmware/get_throttled": "50005",
        "class/thermal/thermal_zone0/type": "gpu-thermal",
        "class/thermal/thermal_zone0/temp": "41000",
        "class/thermal/thermal_zone1/type": "cpu-thermal",
        "class/thermal/thermal_zone1/temp": "61345",
        "class/thermal/thermal_zone1/trip_point_0_type": "critical",
        "class/thermal/thermal_zone1/trip_point_0_temp": "110000",
        "class/thermal/thermal_zone1/trip_point_1_type": "passive",
        "class/thermal/thermal_zone1/trip_point_1_temp": "80000",
        "class/thermal/thermal_zone1/trip_point_2_type": "passive",
        "class/thermal/thermal_zone1/trip_point_2_temp": "-274000",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    known = {"mhz": 1800.0, "celsius": 61.345, "limit_celsius": 80.0, "throttles": None, "firmware": 0x50005,
             "undervolted": None}  # fmt: skip
    assert state(str(tmp_path)) == known
    (tmp_path / "devices/platform/soc/soc:firmware/get_throttled").write_text("?\n")
    (tmp_path / "class/thermal/thermal_zone1/temp").unlink()
    core = tmp_path / "devices/system/cpu/cpu0/thermal_throttle"
    core.mkdir()
    (core / "core_throttle_count").write_text("3\n")
    assert state(str(tmp_path)) == {**known, "celsius": None, "firmware": None, "throttles": 3}


def test_a_board_whose_kernel_shows_the_voltage_alarm_alone(tmp_path):
    for place, name, alarm in (("hwmon0", "cpu_thermal", "0"), ("hwmon1", "rpi_volt", "1")):
        folder = tmp_path / "class/hwmon" / place
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "in0_lcrit_alarm").write_text(f"{alarm}\n")
    assert state(str(tmp_path))["undervolted"] == 1


def test_a_board_that_names_its_buses_by_their_addresses(tmp_path):
    """As a Raspberry Pi 5 does."""
    folder = tmp_path / "devices/platform/soc@107c000000/soc@107c000000:firmware"
    folder.mkdir(parents=True)
    (folder / "get_throttled").write_text("0\n")
    assert state(str(tmp_path))["firmware"] == 0


def test_a_system_that_tells_nothing(tmp_path):
    assert set(state(str(tmp_path)).values()) == {None}
