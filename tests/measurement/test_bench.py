import ast
import hashlib
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement import bench as module
from edgekit.measurement.bench import bench
from edgekit.measurement.newest import newest_chosen
from tests import tiny

FAST = {"processes": 2, "min_runs": 20, "min_seconds": 0.0, "quick": True}


def ask(request):
    ran = subprocess.run(
        [sys.executable, "-P", str(module.AGENT)], input=json.dumps(request), capture_output=True, text=True
    )
    return ran.returncode, json.loads(ran.stdout)


def test_the_agent_is_one_file_of_numpy_and_the_standard_library():
    tree = ast.parse(module.AGENT.read_text())
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
    ],
)
def test_the_agent_answers_errors(request_, kind, words):
    code, found = ask(request_)
    assert code == 1 and not found["ok"] and found["error"]["kind"] == kind and words in found["error"]["message"]


def test_a_measurement_keeps_what_it_is_derived_from():
    found = bench(tiny.path("int8"), **FAST)
    assert found.sha256 == hashlib.sha256(tiny.tflite("int8")).hexdigest()
    assert [len(process) for process in found.samples_ns] == [10, 10]
    pooled = np.concatenate(found.samples_ns)
    summary = found.summary()
    assert summary["latency_ms"]["median"] == pytest.approx(np.median(pooled) / 1e6)
    assert summary["latency_ms"]["n"] == 20 and len(summary["latency_ms"]["ci95"]) == 2
    assert summary["images_per_second"] == pytest.approx(1000 / summary["latency_ms"]["median"])  # R22
    assert summary["size_bytes"] == len(tiny.tflite("int8")) > summary["gzip_bytes"] > 0
    assert summary["verdict"] in ("steady", "unstable") and bool(summary["doubts"]) == (
        summary["verdict"] == "unstable"
    )
    assert found.to_frame().groupby("process")["ns"].count().tolist() == [10, 10]
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["samples_ns"] == [list(s) for s in found.samples_ns]


def test_files_take_turns_and_come_back_in_order():
    seen = []
    files = [tiny.path("float32"), tiny.path("int8")]
    found = bench(files, **FAST, progress=lambda one: seen.append(one.note))
    assert seen == ["float32.tflite", "int8.tflite"] * 2 + [""]
    assert [one.file for one in found] == [str(file) for file in files]


def test_r33_defaults_time_a_hundred_runs_or_more():
    found = bench(tiny.path("int8"), quick=True)
    assert len(found.samples_ns) == 3 and found.latency_ms.n >= 100
    assert all(sum(process) > 0.01e9 for process in found.samples_ns)


def test_benches_do_not_overlap():
    running, overlap = [], []

    def measure():
        def note(progress):
            if progress.note.startswith("waiting"):
                return
            if progress.note:
                overlap.append(len(running))
                running.append(1)
            else:
                running.clear()

        bench(tiny.path("int8"), processes=1, min_runs=1, min_seconds=0.2, quick=True, progress=note)

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlap == [0, 0, 0]


@pytest.mark.parametrize("name", ["threads", "processes", "min_runs"])
@pytest.mark.parametrize("value", [0, -3])
def test_counts_below_one(name, value):
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        bench(tiny.path("int8"), **{name: value})


def test_seconds_below_zero():
    with pytest.raises(UsageError, match="min_seconds is -1"):
        bench(tiny.path("int8"), min_seconds=-1)


def test_a_file_that_is_no_model(tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        bench([tiny.path("int8"), tmp_path], **FAST)


def test_the_newest_finished_run(tmp_path):
    def run(name, **record):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.tflite").touch()
        (tmp_path / name / "run.json").write_text(json.dumps(record))

    with pytest.raises(UsageError, match="no finished run"):
        newest_chosen(tmp_path)
    run("b", finished="2026-01-02T00:00:00+00:00", chosen="m.tflite")
    run("a", finished="2026-01-03T00:00:00+00:00", chosen="m.tflite")
    run("c", finished="2026-01-04T00:00:00+00:00", chosen=None)
    run("d", finished=None, chosen="m.tflite")
    run("e", finished="2026-01-05T00:00:00+00:00", chosen="lost.tflite")
    (tmp_path / "a" / "run.json").with_name("note.txt").touch()
    assert newest_chosen(tmp_path) == tmp_path / "a" / "m.tflite"
