import hashlib
import json
import threading

import numpy as np
import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement.bench import bench, side_by_side
from edgekit.measurement.newest import newest_chosen
from tests import tiny

FAST = {"processes": 2, "min_runs": 20, "min_seconds": 0.0, "protocol": "quick"}


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
    assert summary["verdict"] in ("steady", "unstable") and bool(summary["doubts"]) == (summary["verdict"] != "steady")
    assert summary["conditions"]["runtime"].startswith("ai-edge-litert ") and summary["xnnpack"] is True
    assert [len(process) for process in found.states] == [5, 5]  # before, and behind each of four parts
    assert found.to_frame().groupby("process")["ns"].count().tolist() == [10, 10]
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["samples_ns"] == [list(s) for s in found.samples_ns]


def test_files_take_turns_and_come_back_in_order():
    seen = []
    files = [tiny.path("float32"), tiny.path("int8")]
    found = bench(files, **FAST, progress=lambda one: seen.append(one.note))
    assert [set(seen[:2]), set(seen[2:4]), seen[4:]] == [{"float32.tflite", "int8.tflite"}] * 2 + [[""]]
    assert [one.file for one in found] == [str(file) for file in files]


def test_r33_defaults_time_a_hundred_runs_or_more():
    found = bench(tiny.path("int8"), protocol="quick")
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

        bench(tiny.path("int8"), processes=1, min_runs=1, min_seconds=0.2, protocol="quick", progress=note)

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlap == [0, 0, 0]


def test_side_by_side_compares_with_the_first_in_pairs():
    found = side_by_side([tiny.path("float32"), tiny.path("int8"), tiny.path("float32")], **FAST)
    assert [(one.file, one.reference, one.n) for one in found.comparisons] == [
        (str(tiny.path("int8")), str(tiny.path("float32")), 2),
        (str(tiny.path("float32")), str(tiny.path("float32")), 2),
    ]
    assert [[len(process) for process in one.samples_ns] for one in found.measurements] == [[10, 10]] * 3
    medians = [[np.median(process) for process in one.samples_ns] for one in found.measurements]
    ratio = np.exp(np.mean(np.log(medians[1]) - np.log(medians[0])))
    assert found.comparisons[0].ratio == pytest.approx(ratio)


def test_pairs_are_added_until_the_comparison_is_settled():
    plain, other = tiny.path("float32"), tiny.path("int8")
    found = side_by_side([plain, other], min_runs=4, min_seconds=0.0, protocol="quick")
    taken = found.comparisons[0].n
    assert 10 <= taken <= 20 and (found.comparisons[0].settled or taken == 20)


def test_a_batch_and_without_xnnpack():
    found = bench(tiny.path("int8"), batch=8, xnnpack=False, **FAST)
    assert (found.batch, found.xnnpack, found.conditions["delegate"]) == (8, False, {"name": None, "partitions": 0})
    assert found.summary()["images_per_second"] == pytest.approx(8000 / found.latency_ms.median)
    with pytest.raises(BadInput, match="cannot take a batch of 3"):
        bench(tiny.path("fixed"), batch=3, **FAST)


@pytest.mark.parametrize(("name", "said"), [("threads", "threads"), ("processes", "processes"), ("min_runs", "runs"),
                                            ("batch", "batch")])  # fmt: skip
@pytest.mark.parametrize("value", [0, -3])
def test_counts_below_one(name, said, value):
    with pytest.raises(UsageError, match=f"{said} is {value}"):
        bench(tiny.path("int8"), **{name: value})


def test_seconds_below_zero():
    with pytest.raises(UsageError, match="seconds is -1"):
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
