import hashlib
import json
from pathlib import Path

import pytest

from edgekit.artifact import save_artifact
from edgekit.cli import main
from tests import tiny
from tests.cli.test_evaluate import as_json, run
from tests.measurement import slow_ops

FAST = ["--processes", "1", "--runs", "5", "--seconds", "0", "--quick"]


def test_a_table_with_the_conditions(capfd):
    code, out, _ = run(capfd, "bench", tiny.path("float32"), tiny.path("int8"), *FAST)
    assert code == 0 and "float32.tflite" in out and "int8.tflite" in out
    assert "threads: 1" in out and "ai-edge-litert" in out and "median ms" in out
    _, found = as_json(capfd, "bench", tiny.path("int8"), *FAST)
    units = "amx_int8" in found["result"]["files"][0]["conditions"]["features"]
    assert ("with matrix units (AMX), which no phone has" in out) == units


def test_json_keeps_the_raw_samples(capfd):
    _, found = as_json(capfd, "bench", tiny.path("int8"), *FAST)
    (file,) = found["result"]["files"]
    assert len(file["samples_ns"]) == 1 and len(file["samples_ns"][0]) >= 5
    assert set(file["latency_ms"]) >= {"median", "p90", "p99", "mean", "n", "ci95"}
    assert {"size_bytes", "gzip_bytes", "heap_bytes", "sha256", "threads", "conditions"} <= set(file)


def test_without_a_file_the_newest_runs_choice_is_named_first(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, found = as_json(capfd, "bench", *FAST)
    assert code == 2 and "no finished run" in found["error"]["message"]
    run_folder = tmp_path / "runs" / "one"
    (run_folder / "artifacts").mkdir(parents=True)
    (run_folder / "artifacts" / "m_int8.tflite").write_bytes(tiny.tflite("int8"))
    (run_folder / "run.json").write_text(json.dumps({"finished": "2026-01-01", "chosen": "artifacts/m_int8.tflite"}))
    code, out, _ = run(capfd, "bench", *FAST)
    assert code == 0 and out.startswith("The chosen file of the newest run: runs/one/artifacts/m_int8.tflite\n")


@pytest.mark.parametrize(
    ("argv", "exit_code", "words"),
    [
        (["--device", "cup"], 2, "Unknown device 'cup'"),
        (["--runs", "0"], 2, "--runs"),
        (["--runs", "-5"], 2, "--runs"),
        (["--threads", "0"], 2, "--threads"),
        (["--processes", "0"], 2, "--processes"),
        (["--seconds", "-1"], 2, "--seconds"),
        (["none.tflite"], 3, "none.tflite does not exist"),
        (["."], 3, "is a folder"),
    ],
)
def test_bad_input(argv, exit_code, words, capfd):
    argv = ["bench", tiny.path("int8"), *argv]
    code, found = as_json(capfd, *argv)
    assert code == exit_code and words in found["error"]["message"] and found["error"]["remedy"]
    code, out, err = run(capfd, *argv)
    assert (code, out) == (exit_code, "") and err.count("\n") == 1 and err.startswith("edgekit: ")


def test_files_are_compared_with_the_first(capfd):
    """Three pairs of processes always have an interval; two that a busy machine pulls apart have none."""
    pair = [tiny.path("float32"), tiny.path("int8")]
    code, out, _ = run(capfd, "bench", *pair, "--quick", "--processes", "3", "--runs", "8", "--seconds", "0")
    assert code == 0 and f"x the time of {pair[0]} (99.9%: " in out and "3 pairs of processes" in out
    _, found = as_json(capfd, "bench", *pair, *FAST)
    (one,) = found["result"]["comparisons"]
    assert (one["file"], one["reference"], one["n"], one["interval"]) == (str(pair[1]), str(pair[0]), 1, None)
    assert one["verdict"] == "no difference found"


def test_a_sweep_is_a_row_a_setting(capfd):
    _, found = as_json(
        capfd, "bench", tiny.path("int8"), *FAST, "--threads", "1,2", "--batch", "1,8", "--xnnpack", "both"
    )
    rows = [(one["threads"], one["batch"], one["xnnpack"]) for one in found["result"]["files"]]
    assert rows == [(t, b, x) for t in (1, 2) for b in (1, 8) for x in (True, False)]
    _, out, _ = run(capfd, "bench", tiny.path("int8"), *FAST, "--xnnpack", "both")
    assert [line.split()[3] for line in out.splitlines()[1:3]] == ["on", "off"]


def test_mlperf_is_a_thousand_runs_and_a_minute(capfd):
    _, found = as_json(capfd, "bench", tiny.path("int8"), "--mlperf", "--processes", "1", "--seconds", "0.1")
    (file,) = found["result"]["files"]
    assert file["protocol"]["name"] == "mlperf" and file["latency_ms"]["n"] >= 1024


def test_the_gate(capfd, tmp_path):
    """The baseline is what the command wrote; a slower one is made by shortening what it says."""
    baseline, model = tmp_path / "results.json", tiny.path("int8")
    more = ["--quick", "--processes", "4", "--seconds", "0", "--runs", "80"]
    assert run(capfd, "bench", model, *more, "--out", baseline)[0] == 0
    code, found = as_json(capfd, "bench", model, *more, "--baseline", baseline, "--max-regression-percent", "9999")
    assert code == 0 and [one["verdict"] for one in found["result"]["gate"]] == ["within"]
    written = json.loads(baseline.read_text())
    (file,) = written["files"]
    file["samples_ns"] = [[max(1, ns // 20) for ns in process] for process in file["samples_ns"]]
    baseline.write_text(json.dumps({"schema": 1, "result": written}))
    code, found = as_json(capfd, "bench", model, *more, "--baseline", baseline, "--no-store")
    assert (code, found["error"]["code"]) == (1, "check-failed") and f"{model} is " in found["error"]["message"]
    assert "limit 5 %" in found["error"]["message"] and found["result"]["gate"][0]["verdict"] == "regressed"
    code, found = as_json(capfd, "bench", tiny.path("float32"), *more, "--baseline", baseline)
    assert code == 3 and all(one in found["error"]["message"] for one in (file["sha256"], sha256(tiny.path("float32"))))
    file["conditions"]["cpu"] = "Another CPU"
    baseline.write_text(json.dumps(written))
    code, found = as_json(capfd, "bench", model, *more, "--baseline", baseline)
    assert code == 3 and "another machine (Another CPU" in found["error"]["message"]


def test_the_gate_beside_the_file_itself(capfd, tmp_path):
    """A network of many times the work is slower on any machine; a copy is not proven to be."""
    shipped, copy, slower = tiny.path("int8"), tmp_path / "copy.tflite", slow_ops.path("int8")
    copy.write_bytes(shipped.read_bytes())
    more = ["--quick", "--processes", "5", "--seconds", "0", "--runs", "50", "--baseline", shipped]
    code, found = as_json(capfd, "bench", slower, copy, *more)
    assert code == 1 and [Path(one["file"]) for one in found["result"]["files"]] == [shipped, slower, copy]
    verdicts = {Path(one["file"]): one["verdict"] for one in found["result"]["gate"]}
    assert verdicts[slower] == "regressed" and verdicts[copy] in ("within", "unclear")
    assert f"{slower} is " in found["error"]["message"] and str(copy) not in found["error"]["message"]
    code, found = as_json(capfd, "bench", copy, *more, "--max-regression-percent", "9999")
    assert code == 0 and [one["limit_percent"] for one in found["result"]["gate"]] == [9999.0]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_store(capfd, tmp_path):
    here = ["--store", tmp_path / "store"]
    code, found = as_json(capfd, "bench", "--compare", *here)
    assert code == 2 and "no such measurement" in found["error"]["message"]
    for name in ("int8", "float32"):
        assert run(capfd, "bench", tiny.path(name), *FAST, *here)[0] == 0
    assert run(capfd, "bench", tiny.path("int8"), *FAST, "--no-store")[0] == 0
    assert len(list((tmp_path / "store").iterdir())) == 2
    rows = tmp_path / "rows.csv"
    code, out, _ = run(capfd, "bench", "--compare", *here, "--export", rows)
    assert code == 0 and "int8.tflite" in out and "float32.tflite" in out
    assert len(rows.read_text().splitlines()) == 3
    _, found = as_json(capfd, "bench", "--compare", tiny.path("int8"), *here)
    assert [one["sha256"] for one in found["result"]["measurements"]] == [sha256(tiny.path("int8"))]
    (tmp_path / "store" / "odd.json").write_text("{")
    _, found = as_json(capfd, "bench", "--compare", *here)
    assert len(found["warnings"]) == 1 and "odd.json" in found["warnings"][0]


def test_a_store_that_cannot_be_written_costs_a_warning_not_the_measurement(capfd, tmp_path):
    (tmp_path / "file").touch()
    code, found = as_json(capfd, "bench", tiny.path("int8"), *FAST, "--store", tmp_path / "file")
    assert code == 0 and "not in the store" in found["warnings"][0] and found["result"]["files"]


def test_preprocessing_is_timed_apart(capfd, tmp_path):
    code, found = as_json(capfd, "bench", tiny.path("int8"), *FAST, "--with-preprocessing")
    assert code == 3 and "has no card" in found["error"]["message"]
    path = tmp_path / "m.tflite"
    content = tiny.tflite("int8")
    save_artifact(path, content, replaced_card(content))
    _, found = as_json(capfd, "bench", path, *FAST, "--with-preprocessing")
    (file,) = found["result"]["files"]
    steps = {name: len(values) for name, values in file["processing"].items() if name.endswith("_ns")}
    assert steps == dict.fromkeys(("decode_ns", "resize_ns", "normalize_ns", "postprocess_ns"), 100)
    assert sum(file["processing"]["decode_ns"]) > 100 * max(
        map(min, file["samples_ns"])
    )  # a JPEG is not in the latency
    code, out, _ = run(capfd, "bench", path, *FAST, "--with-preprocessing", "--image", tiny_image(tmp_path))
    assert code == 0 and "not in the latency, ms: decode " in out and "(one.png)" in out
    code, found = as_json(capfd, "bench", path, *FAST, "--with-preprocessing", "--image", path)
    assert code == 3 and "cannot be read as an image" in found["error"]["message"]


def replaced_card(content):
    from tests.test_artifact import card

    return card(content)


def tiny_image(folder):
    from PIL import Image

    Image.fromarray(tiny.pictures(1)[0]).save(folder / "one.png")
    return folder / "one.png"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--quick", "--mlperf"], "two protocols"),
        (["--max-regression-percent", "3"], "go with --baseline"),
        (["--new-version"], "go with --baseline"),
        (["--new-version", "--baseline", "x.tflite"], "this one is a file, measured beside the others"),
        (["--image", "x.png"], "goes with --with-preprocessing"),
        (["--store", "x", "--no-store"], "exclude each other"),
        (["--export", "x.xlsx"], "neither .csv nor .parquet"),
        (["--compare", "--baseline", "x.json"], "--compare measures nothing"),
        (["--threads", "1,x"], "whole numbers"),
        (["--batch", "8,0"], "0 is not one or more"),
        (["--xnnpack", "yes"], "--xnnpack"),
        (["--max-regression-percent", "-1", "--baseline", "x"], "--max-regression-percent"),
    ],
)
def test_what_is_not_meant_like_this(argv, words, capfd):
    code, found = as_json(capfd, "bench", tiny.path("int8"), *argv)
    assert code == 2 and words in found["error"]["message"] and found["error"]["remedy"]


def test_main_is_the_entry_point(capfd):
    assert main(["bench", "--help"]) == 0
    assert "--threads" in capfd.readouterr().out
