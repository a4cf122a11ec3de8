"""Networks of the zoo that begin with weights from elsewhere, through the whole job."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.cli import main
from edgekit.models.zoo import build
from tests import tiny
from tests.quick import BENCH, compress

FEW = ("--calibration-images", "20")
LENIENT = ["--max-drop-points", "100", "--set", "verify.int8_agreement=0", "--variants", "float32"]


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, dict[str, Any]]:
    return compress(capsys, "--model", "resnet8", *arguments, *FEW, *LENIENT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on the six bright rows: its folder, and its data."""
    root = tmp_path_factory.mktemp("trained")
    data = tiny.folder(root / "data", 120)
    arguments = ["compress", "--model", "resnet8", "--data", str(data), "--image-size", "12", "--epochs", "2", "--set",
                 "train.augment={}", "--out", str(root / "run"), *BENCH, *FEW, *LENIENT]  # fmt: skip
    assert main(arguments) == 0
    return root / "run", data


def weights(run_folder: Path) -> Path:
    return run_folder / "stages" / "train" / "model.weights.h5"


def test_the_weights_of_a_run_give_its_answers_again(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, data = trained
    given = ("--data", data, "--image-size", 12, "--weights", weights(first), "--recipe", "resnet-int8", "--epochs", 0)
    code, said = run(capsys, *given, "--out", tmp_path / "again")
    assert code == 0, said["error"]
    cards = [run / "artifacts" / "resnet8_float32.card.json" for run in (first, tmp_path / "again")]
    before, after = (json.loads(one.read_text())["model_sha256"] for one in cards)
    assert before == after  # the recipes in the files differ


def test_a_frozen_base_keeps_its_weights_and_the_head_is_the_datas(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = trained
    three = tiny.folder(tmp_path / "three", 90, classes=3)
    given = ("--data", three, "--image-size", 12, "--weights", weights(first), "--recipe", "resnet-int8", "--epochs", 2)
    tuned = ("--set", "train.fine_tune.mode=features", "--set", "train.learning_rate=0.01")
    code, said = run(capsys, *given, *tuned, "--out", tmp_path / "tuned")
    assert code == 0, said["error"]
    assert any("keeps random values" in warning for warning in said["warnings"])
    old, new = (build("resnet8", classes=n, input_shape=(12, 12, 3)) for n in (6, 3))
    old.load_weights(weights(first))
    new.load_weights(weights(tmp_path / "tuned"))
    for before, after in zip(old.layers[:-1], new.layers[:-1], strict=True):
        for one, other in zip(before.get_weights(), after.get_weights(), strict=True):
            assert np.array_equal(one, other), before.name
    assert said["result"]["dataset"]["class_names"] == ["row0", "row1", "row2"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--weights", "WEIGHTS", "--set", "model.name=resnet20", "--epochs", "1"], 3, "does not fit resnet20"),
        (["--set", "train.fine_tune.mode=features"], 2, "Fine-tuning resnet8 needs pretrained weights"),
        (["--weights", "imagenet", "--epochs", "0"], 3, "There are no ImageNet weights for resnet8"),
        (["--weights", "absent.weights.h5"], 3, "absent.weights.h5"),
        (["--set", "model.new_head=true"], 2, "is a network of the zoo"),
        (["--calibration", "DATA", "--epochs", "0"], 2, "How many classes resnet8 has is not known"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    arguments: list[str], code: int, says: str, trained: tuple[Path, Path], tmp_path: Path, capsys: Any
) -> None:
    first, data = trained
    names = {"WEIGHTS": str(weights(first)), "DATA": str(data)}
    own_data = () if "DATA" in arguments else ("--data", str(data))
    given = [names.get(one, one) for one in arguments]
    found, said = run(
        capsys, *own_data, "--image-size", 12, "--recipe", "resnet-int8", *given, "--out", tmp_path / "refused"
    )
    error = said["error"]
    assert (found, "\n" in error["message"]) == (code, False) and says in f"{error['message']} {error['remedy']}", error
    assert not list((tmp_path / "refused").rglob("*.tflite"))
