"""edgekit data sample and edgekit data lint, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.cli import main

SHIPPED = Path(__file__).parents[2] / "calibration_data" / "digits"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """70 noise images each of two classes."""
    generator = np.random.default_rng(0)
    for name in ("ape", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(70):
            pixels = generator.integers(0, 256, (5, 5, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    return tmp_path / "set"


def test_sample_then_lint(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["data", "sample", str(folder), "--n", "98", "--out", out]) == 0
    assert capsys.readouterr().out == f"{out}: 98 images from the train split of set (ape 49, bee 49)\n"
    assert main(["data", "lint", out, "--data", str(folder)]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "ok       readable    every file can be read",
        "error    count       98 images are too few, use 100 or more",
        "ok       balance     49 images of every class",
        "ok       duplicates  all images differ",
        "ok       constant    no blank images",
        "ok       range       pixels use 0..255 of 0..255",
        "ok       overlap     none is among the 28 test images",
    ]
    assert f"edgekit: {out} is not fit for calibration: count. Mend what is listed" in printed.err


def test_sample_has_a_default_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "sample", str(folder), "--n", "10"]) == 0
    assert len(list((tmp_path / "calibration_data" / "set").rglob("*.png"))) == 10
    assert main(["data", "sample", str(folder), "--n", "10"]) == 3  # and never writes into one that is there
    assert "is not empty" in capsys.readouterr().err


def test_lint_passes_the_shipped_set_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "lint", str(SHIPPED), "--data", "digits", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["ok"], printed["command"], printed["error"], printed["warnings"]) == (True, "data", None, [])
    assert [f["check"] for f in printed["result"]["findings"]] == [
        *("readable", "count", "balance", "duplicates", "constant", "range", "overlap")
    ]
    assert {f["severity"] for f in printed["result"]["findings"]} == {"ok"}


def test_sample_in_json_is_the_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "digits"
    assert main(["data", "sample", "digits", "--n", "20", "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result == {"folder": str(out), **json.loads((out / "manifest.json").read_text())}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["sample", "digts", "--out", "x"], 3, "Unknown data set, or folder, 'digts'. Did you mean 'digits'?"),
        (["sample", "no/where", "--out", "x"], 3, "There is no folder or file 'no/where'."),
        (["sample", "digits", "--out", "."], 3, ". exists and is not empty."),
        (["sample", "digits", "--n", "0", "--out", "x"], 2, "Invalid value for '--n'"),
        (["lint", "no/where"], 3, "There is no folder 'no/where'."),
        (["polish"], 2, "No such command 'polish'."),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(
    words: list[str],
    code: int,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "something").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert main(["data", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == "" and "Traceback" not in printed.err
    assert printed.err.startswith(f"edgekit: {sentence}")
    assert [p.name for p in tmp_path.iterdir()] == ["something"]


def test_a_machine_without_tensorflow_can_lint(folder: Path) -> None:
    """numpy and Pillow are enough: neither TensorFlow nor Keras is imported."""
    code = (
        "import sys; from edgekit.cli import main; "
        f"main(['data', 'lint', {str(folder)!r}]); "
        "sys.exit(bool({'tensorflow', 'keras', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
