"""`edgekit models` as a user calls it."""

from __future__ import annotations

import json

import pytest

from edgekit.cli import main


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--image-size", "32", "--classes", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["model", "input", "params"]
    row = next(line.split() for line in lines if line.startswith("resnet8"))
    assert row == ["resnet8", "32x32", "78,714", "12.50", "M", "8x8", "tf", "resnet"]


def test_json_at_the_published_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    models = {model["name"]: model for model in answer["result"]["models"]}
    assert answer["ok"] and answer["command"] == "models"
    assert models["mobilenet_v2"]["params"] == 3_538_984 and models["mobilenet_v2"]["final_map"] == [7, 7]


def test_too_small_an_image_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--image-size", "4"]) == 3
    assert "at least 8x8" in capsys.readouterr().err
