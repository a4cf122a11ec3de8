"""edgekit metadata: what is set is shown, and no hostile file harms or is harmed."""

from __future__ import annotations

import collections
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.artifact import sha256_of
from edgekit.cli import main
from edgekit.runtime.associated_files import with_files
from edgekit.runtime.embedded import embedded_of, with_embedded
from edgekit.runtime.flatbuffer import without_metadata
from tests.cli.test_damaged_models import mutant
from tests.described import LABELS, array_model, described, picture_model, with_contract
from tests.runtime.hostile import NAME

MUTANTS = int(os.environ.get("EDGEKIT_MUTANTS", "25"))


def run(capfd: pytest.CaptureFixture[str], *argv: object) -> tuple[int, dict[str, Any]]:
    code = main(["metadata", *map(str, argv), "--json"])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    envelope = json.loads(said.out)
    assert envelope["ok"] == (code == 0) and envelope["command"] == "metadata"
    return code, envelope


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(picture_model())
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    return path


def test_what_is_set_is_shown(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts = ("--author", "Jö Doe", "--license", "MIT", "--version", "2", "--output", "probabilities")
    labels = file.with_name("labels.txt")
    code, made = run(capfd, "set", file, "--labels", labels, "--preprocess", "imagenet", *texts)
    assert code == 0 and (run(capfd, "show", file)[1]["result"]) == made["result"]
    result = made["result"]
    assert (result["standard"]["author"], result["standard"]["version"]) == ("Jö Doe", "2")
    assert result["labels"] == list(LABELS) and result["contract"]["output_meaning"] == "probabilities"
    assert result["contract"]["preprocessing"]["std"] == [58.395, 57.12, 57.375]
    assert "one mean and std for all channels" in " ".join(result["refused_by_mediapipe"])
    assert main(["metadata", "show", str(file)]) == 0
    text = capfd.readouterr().out
    assert "Jö Doe" in text and "3 vectors, tolerance" in text and "red, green, blue" in text


def test_what_is_not_said_stays(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    labels = file.with_name("labels.txt")
    assert run(capfd, "set", file, "--labels", labels, "--preprocess", "tf", "--author", "me")[0] == 0
    code, again = run(capfd, "set", file, "--version", "3")
    assert code == 0 and again["result"]["standard"]["author"] == "me" and again["result"]["labels"] == list(LABELS)
    assert again["result"]["contract"]["preprocessing"]["std"] == [127.5] * 3
    code, bare = run(capfd, "set", file, "--no-golden", "--license", "MIT")
    assert code == 0 and [one["name"] for one in bare["result"]["files"]] == ["labels.txt", "edgekit.json"]
    code, fresh = run(capfd, "set", file, "--fresh", "--name", "new")
    assert code == 0 and fresh["result"]["labels"] == [] and "author" not in fresh["result"]["standard"]
    assert without_metadata(file.read_bytes()) == without_metadata(picture_model())


def test_metadata_of_other_writers_are_kept(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    score = {"name": "scores.csv", "type": "TENSOR_AXIS_SCORE_CALIBRATION"}
    output = {"name": "score", "associated_files": [score]}
    standard = {
        "name": "theirs",
        "subgraph_metadata": [{"output_tensor_metadata": [output]}],
        "min_parser_version": "1.3.1",
    }
    file.write_bytes(with_embedded(picture_model(), standard, {"scores.csv": b"1,2,3"}))
    code, made = run(capfd, "set", file, "--preprocess", "tf")
    result = made["result"]["standard"]
    assert code == 0 and result["name"] == "theirs" and result["min_parser_version"] == "1.3.1"
    assert result["subgraph_metadata"][0]["output_tensor_metadata"] == [output]
    assert embedded_of(file.read_bytes(), "m").files["scores.csv"] == b"1,2,3"


def test_a_model_without_pictures(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(array_model())
    code, made = run(capfd, "set", file, "--author", "me")
    assert code == 0 and made["result"]["contract"]["preprocessing"] is None
    code, refused = run(capfd, "set", file, "--preprocess", "tf")
    assert (code == 3 and "not an image classifier" in refused["error"]["message"]) or code == 3


BAD = {
    "labels": (["--labels", "two.txt"], 3, "3 scores and there are 2 labels"),
    "no labels": (["--labels", "none.txt"], 3, "cannot be read"),
    "nothing": ([], 2, "nothing to set"),
    "out is there": (["--author", "me", "--out", "there.tflite"], 2, "exists already"),
    "no folder": (["--author", "me", "--out", "/proc/none/x.tflite"], 4, ""),
    "control characters": (["--author", NAME], 2, "control characters"),
    "preset": (["--preprocess", "tff"], 2, "Unknown preprocessing preset"),
    "no card": (["--card", "none.json"], 3, "There is no card"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_writes_nothing(
    kind: str, file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "two.txt").write_text("a\nb\n")
    (file.parent / "there.tflite").write_bytes(b"mine")
    argv, exit_code, said = BAD[kind]
    before = {path: path.read_bytes() for path in file.parent.iterdir()}
    code, envelope = run(capfd, "set", file, *argv)
    assert code == exit_code and said in envelope["error"]["message"]
    assert {path: path.read_bytes() for path in file.parent.iterdir()} == before


def test_hostile_files_are_shown_escaped_or_refused(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    standard = {"name": NAME, "author": "<script>", "subgraph_metadata": [{"input_tensor_metadata": [{"name": NAME}]}]}
    file.write_bytes(with_embedded(picture_model(), standard, {}))
    assert main(["metadata", "show", str(file)]) == 0
    out = capfd.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out and "\\x1b[2J" in out
    assert main(["inspect", str(file)]) == 0 and "\x1b" not in capfd.readouterr().out
    zipped = with_files(without_metadata(picture_model()), {"x": b"y"}).replace(b"x", b"/")
    file.write_bytes(zipped)
    for verb in (["show", file], ["set", file, "--author", "me"]):
        code, said = run(capfd, *verb)
        assert code == 3 and "is a path or holds control characters" in said["error"]["message"]
    assert file.read_bytes() == zipped
    assert run(capfd, "set", file, "--author", "me", "--fresh")[0] == 0


def test_metadata_of_another_model_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = described(tmp_path).read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(with_contract(content, model_sha256=sha256_of(b"another")))
    for verb in (["show", path], ["set", path, "--author", "me"]):
        code, said = run(capfd, *verb)
        assert (
            code == 3
            and "metadata of another model" in said["error"]["message"]
            and "--fresh" in said["error"]["remedy"]
        )
    assert main(["inspect", str(path), "--check"]) == 1 and "another model" in capfd.readouterr().err


def test_damaged_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """EDGEKIT_MUTANTS=1000 takes more of them: this process lives, and every one gets its sentence."""
    content, generator = described(tmp_path).read_bytes(), np.random.default_rng(7)
    file, codes = tmp_path / "mutant.tflite", collections.Counter[tuple[int, int]]()
    for _ in range(MUTANTS):
        file.write_bytes(mutant(content, generator))
        shown, envelope = run(capfd, "show", file)
        assert shown == 0 or "\n" not in envelope["error"]["message"]
        assert shown == 0 or envelope["error"]["code"] != "internal", envelope["error"]
        codes[shown, run(capfd, "set", file, "--author", "me")[0]] += 1
    assert {shown for shown, _ in codes} == {0, 3} and {written for _, written in codes} <= {0, 3}
