"""doctor on real files: one that is fed the wrong way round, one that is slow, damaged ones; and on this machine."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli import main
from edgekit.findings.examine import doctor
from edgekit.findings.installation import installation
from tests import tiny
from tests.measurement import slow_ops, vulkan

GPU_FIRST = tuple(vulkan.NONE.items())


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEKIT_RUNTIMES", str(tmp_path / "none"))
    for name, value in GPU_FIRST:
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module", autouse=True)
def files() -> None:
    """Converted before anything is captured: the converter writes to stdout."""
    slow_ops.path("int8")
    tiny.path("fixed")


def as_json(capfd, *argv: object) -> tuple[int, dict]:
    code = main(["doctor", *(str(one) for one in argv), "--json"])
    return code, json.loads(capfd.readouterr().out)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return tiny.folder(tmp_path_factory.mktemp("images"), 60)


def test_a_good_file_and_one_that_is_fed_wrongly(images: Path, capfd) -> None:
    """The network knows its classes by bright rows: pixels 0..255 are right, and divided by -255 they are wrong."""
    right = doctor(tiny.path("fixed"), data=str(images), preprocess="raw")
    assert right.failed is None and right.evidence.evaluation.top1.value == 1.0 and not right.evidence.unknown
    assert {one.kind for one in right.findings} <= {"slow", "untold", "narrow"}
    negative = ("--mean", "255", "--std", "0.5")
    assert main(["doctor", str(tiny.path("fixed")), "--data", str(images), *negative]) == 1
    said = capfd.readouterr()
    assert "1. Its images are prepared wrongly" in said.out and "then give --preprocess" in said.out
    assert "gives other answers than it should" in said.err


def test_what_is_slow_comes_with_its_share_and_its_recipe(capfd) -> None:
    code, found = as_json(capfd, slow_ops.path("int8"))
    slow = {one["name"]: one for one in found["result"]["findings"] if one["kind"] == "slow"}
    assert code == 0 and "hard-swish-int8" in slow
    assert slow["hard-swish-int8"]["cost"] > 0 and "rewrite" in slow["hard-swish-int8"]["fix"]


@pytest.mark.parametrize(
    ("argv", "exit_code", "words"),
    [
        (["none.tflite"], 3, "does not exist"),
        (["text.tflite"], 3, "is not a TensorFlow Lite model"),
        (["--data", "digits"], 2, "are of a file"),
        (["good.tflite", "--data", "digits"], 2, "no card"),
    ],
)
def test_bad_input(argv: list[str], exit_code: int, words: str, capfd, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.tflite").write_text("hello")
    Path("good.tflite").write_bytes(tiny.tflite("fixed"))
    code, found = as_json(capfd, *argv)
    assert code == exit_code and words in found["error"]["message"]


def test_the_installation(capfd, monkeypatch) -> None:
    found = {one.name: one for one in installation().parts}
    assert found["runtime"].state == "works" and "runs a network" in found["runtime"].said
    assert found["gpu"].state == "missing" and found["tflm"].fix == "edgekit runtime add tflm"
    assert found["[train]"].state == "works" and found["disk"].said
    code, document = as_json(capfd)
    assert code == 0 and {one["name"] for one in document["result"]["parts"]} == set(found)
    assert np.all([one["said"] for one in document["result"]["parts"]])


def test_a_device_that_is_gone_is_broken(capfd, monkeypatch, tmp_path: Path) -> None:
    path = tmp_path / "devices.toml"
    path.write_text('[pi]\nhost = "127.0.0.1"\nport = 9\n')
    monkeypatch.setenv("EDGEKIT_DEVICES", str(path))
    code, document = as_json(capfd)
    part = next(one for one in document["result"]["parts"] if one["name"] == "device pi")
    assert code == 1 and part["state"] == "broken" and part["fix"] == "edgekit device check pi"
    path.write_text("[pi]\nhots = 1\n")
    assert as_json(capfd)[0] == 1


@pytest.mark.gpu
def test_the_gpu_is_named(monkeypatch) -> None:
    for name in vulkan.NONE:
        monkeypatch.delenv(name)
    for name, value in vulkan.variables().items():
        monkeypatch.setenv(name, value)
    found = {one.name: one for one in installation().parts}
    assert found["gpu"].state == "works" and found["gpu"].said
