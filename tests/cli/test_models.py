"""`edgekit models` as a user calls it."""

from __future__ import annotations

import json

import pytest

from edgekit.cli import main


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--model", "resnet", "--image-size", "32", "--classes", "10"]) == 0
    heading, row, empty, folded, note = capsys.readouterr().out.splitlines()
    assert heading.split()[:6] == ["model", "input", "params", "in", "a", "file"]
    figures = ["78,714", "77,706", "12.50", "M", "0.31", "0.08", "8x8", "-", "-", "tf", "resnet"]
    assert row.split() == ["resnet8", "32x32", *figures]
    assert empty == "" and folded.startswith("in a file: parameters with") and note.startswith("~MB: estimated")


def test_published_accuracy_comes_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--model", "efficientnet_lite3", "--image-size", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[-5:] == ["4x4", "79.8", "[1]", "-", "lite"]
    assert lines[-1] == "  [1] tensorflow/tpu, models/official/efficientnet/lite"


def test_json_at_the_published_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--model", "mobilenet", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] and answer["command"] == "models"
    assert answer["result"]["models"] == [
        {
            "name": "mobilenet_v2",
            "aliases": ["mobilenet"],
            "image_size": 224,
            "params": 3_538_984,
            "deployed_params": 3_487_816,
            "macs": 300_774_272,
            "estimated_float32_mb": 13.951264,
            "estimated_int8_mb": 3.487816,
            "final_map": [7, 7],
            "preprocess": "tf",
            "source": "Sandler et al. 2018, arXiv:1801.04381",
            "imagenet": {
                "top1": 71.3,
                "source": "keras.io/api/applications",
                "origin": "keras.applications.MobileNetV2",
            },
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image-size", "4"], "at least 8x8"),
        (["--model", "mobilenet_v9"], "Unknown model 'mobilenet_v9'. Did you mean 'mobilenet"),
        (["--model", "keras:vgg16"], "Did you mean 'keras:VGG16'?"),
        (["--model", "keras:InceptionV3", "--image-size", "64"], "at least 75x75"),
    ],
)
def test_what_cannot_work_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *arguments]) == 3
    assert said in capsys.readouterr().err
