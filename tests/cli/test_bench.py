import json

import pytest

from edgekit.cli import main
from tests import tiny
from tests.cli.test_evaluate import as_json, run

FAST = ["--processes", "1", "--runs", "5", "--seconds", "0", "--quick"]


def test_a_table_with_the_conditions(capfd):
    code, out, _ = run(capfd, "bench", tiny.path("float32"), tiny.path("int8"), *FAST)
    assert code == 0 and "float32.tflite" in out and "int8.tflite" in out
    assert "threads: 1" in out and "ai-edge-litert" in out and "median ms" in out


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


def test_main_is_the_entry_point(capfd):
    assert main(["bench", "--help"]) == 0
    assert "--threads" in capfd.readouterr().out
