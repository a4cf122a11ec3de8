"""`edgekit compress` at its border: what it is asked, what it refuses. The job itself is in tests/test_pipeline.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.cli import main

FAST = ["--image-size", "12", "--epochs", "1", "--model", "resnet8"]


def images(folder: Path, classes: dict[str, int], seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Runs the command into `out`; asserts one sentence, no traceback, nothing left behind."""
    code = main(["compress", *FAST, *arguments, "--out", str(out), "--json"])
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert "Traceback" not in captured.err
    assert error["message"].endswith(".") and "\n" not in error["message"] and error["remedy"]
    assert not list(out.rglob("*.tflite")) and not list(out.rglob("*.card.json"))
    return code, f"{error['message']} {error['remedy']}"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--model", "mobilnet"], 3, "Unknown model 'mobilnet'. Did you mean 'mobilenet"),
        (["--data", "cifr10"], 3, "cifar10"),
        (["--recipe", "mobilenet-int"], 3, "Did you mean 'mobilenet-int8'?"),
        (["--variants", "int9"], 3, "variants.0: Input should be 'float32', 'float16'"),
        (["--io", "int16"], 3, "io: Input should be 'float32', 'uint8' or 'int8'"),
        (["--set", "train.epochz=3"], 3, "Nearest: 'epochs'"),
        (["--set", "train.epochs"], 2, "is not FIELD=VALUE"),
        (["--epochs", "-1"], 3, "train.epochs"),
        (["--optimizer", "adm"], 3, "train.optimizer"),
        (["--preprocess", "imagenett"], 3, "Did you mean 'imagenet'?"),
        (["--preprocess", "none.json"], 3, "none.json cannot be read"),
        (["--alpha", "0.5"], 3, "resnet8 has no width multiplier"),
        (["--image-size", "4"], 3, "at least 8x8"),
        (["--data", "/no/such/folder"], 3, "/no/such/folder"),
        (["--threads", "one"], 3, "bench.threads"),
    ],
)
def test_bad_words(
    arguments: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # R30
    found, text = refused(arguments, tmp_path / "run", capsys)
    assert (found, says in text) == (code, True), text


@pytest.mark.parametrize(
    ("classes", "says"),
    [({}, "data is empty"), ({"only": 30}, "class"), ({"a": 0, "b": 0}, "no ")],
)
def test_bad_folders(classes: dict[str, int], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = images(tmp_path / "data", classes)
    folder.mkdir(exist_ok=True)
    code, text = refused(["--data", str(folder)], tmp_path / "run", capsys)
    assert code == 3 and says in text.lower(), text


def test_a_folder_of_damaged_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = images(tmp_path / "data", {"a": 5, "b": 5})
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:40])
    code, text = refused(["--data", str(folder)], tmp_path / "run", capsys)
    assert code == 3, text


def test_an_offline_dataset_says_what_to_fetch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there: offline, wherever this runs
    code, text = refused(["--data", "mnist"], tmp_path / "run", capsys)
    assert code == 3 and "mnist.npz" in text


def test_no_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Root may write into any folder but the kernel's."""
    (tmp_path / "locked").mkdir(mode=0o500)
    folder = Path("/sys") if os.getuid() == 0 else tmp_path / "locked"
    assert main(["compress", *FAST, "--out", str(folder / "edgekit-run")]) == 4
    err = capsys.readouterr().err
    assert ("ermission denied" in err or "not permitted" in err) and "--out" in err and "Traceback" not in err


def test_an_out_path_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["compress", *FAST, "--out", str(tmp_path / "file")]) == 4
    assert capsys.readouterr().err.startswith("edgekit: ")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A file-size limit of the process is a full disk to it: every larger write fails half-way."""
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from edgekit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "run"
    ended = subprocess.run(
        [sys.executable, "-c", limited, "compress", *FAST, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 4, ended.stderr
    assert "Traceback" not in ended.stderr and "edgekit: " in ended.stderr
    assert not list(out.rglob("*.tflite")) and not [p for p in out.rglob(".*.*") if p.is_file()]


def test_without_the_train_extra(tmp_path: Path) -> None:
    """A base install evaluates and benchmarks; asked to train, it says what is missing."""
    hidden = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('keras', 'tensorflow') else find(name, *a)\n"
        "from edgekit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", hidden, "compress", *FAST, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'edgekit[train]'" in ended.stderr
