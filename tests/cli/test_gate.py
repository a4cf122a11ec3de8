"""The commands of a CI job, one after the other, on real files."""

import json

import pytest

from edgekit.cli import main
from tests import tiny


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The same name twice: float32 on the pictures, and on them with a preparation that blinds it."""
    root = tmp_path_factory.mktemp("gate")
    images, model = tiny.folder(root / "images", 60), root / "model.tflite"
    model.write_bytes(tiny.tflite("float32"))
    for name, look in (("main", ["--preprocess", "raw"]), ("now", ["--mean", "250", "--std", "1"])):
        argv = ["evaluate", str(model), "--data", str(images), "--out", str(root / name), *look]
        assert main(argv) == 0
    return root


def test_a_drop_is_exit_code_1_with_the_rule_in_every_format(evaluated, tmp_path, capsys):
    outputs = {name: tmp_path / f"gate.{name}" for name in ("junit", "sarif", "markdown")}
    argv = ["gate", str(evaluated / "now"), "--baseline", str(evaluated / "main")]
    argv += [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    assert main(argv) == 1
    said = capsys.readouterr()
    assert "max_drop_points" in said.out and "points of top-1" in said.err
    assert all("max_drop_points" in path.read_text() for path in outputs.values())
    assert main([*argv, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["result"]["passed"] is False and found["error"]["code"] == "check-failed"
    assert found["result"]["checked"][0]["drop_points"]["value"] > 50


def test_no_change_passes_and_bad_rules_are_bad_input(evaluated, tmp_path, capsys):
    rules = tmp_path / "gate.yaml"
    rules.write_text("max_drop_points: 0\nmin_agreement: 1\n")
    argv = ["gate", str(evaluated / "main"), "--rules", str(rules)]
    assert main([*argv, "--baseline", str(evaluated / "main")]) == 0
    assert main(argv) == 1  # nothing to agree with was measured
    rules.write_text("max_dropp_points: 0\n")
    assert main(argv) == 3
    assert "max_drop_points" in capsys.readouterr().err
