import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli import main
from edgekit.data.arrays import ArrayData
from edgekit.exporting.export import export
from edgekit.models.backend import import_keras
from edgekit.runtime.embedded import with_embedded
from tests import tiny
from tests.measurement import slow_ops
from tests.runtime import hostile
from tests.runtime.one_op import one_op

keras = import_keras("Testing")


def run(capfd: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    code = main(["inspect", *(str(word) for word in argv)])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out, said.err


def as_json(capfd: pytest.CaptureFixture[str], *argv: object) -> tuple[int, dict]:
    code, out, _ = run(capfd, *argv, "--json")
    envelope = json.loads(out)
    assert envelope["ok"] == (code == 0) and envelope["command"] == "inspect"
    return code, envelope


def test_the_text_tells_all_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    file = tiny.path("int8")
    code, out, err = run(capfd, file)
    assert code == 0 and err == ""
    for word in ("CONV_2D v3", "signature serving_default", "parameters in", "MACs", "Tensor arena", "at their peak in",
                 "Oldest runtime: TensorFlow Lite", "Here: runs in", "CPU (XNNPACK): takes", "GPU (LiteRT)",
                 "Microcontroller (TFLM)", "Browser (LiteRT.js)", "The batch is left open"):  # fmt: skip
        assert word in out, word


def test_json_has_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    file = tiny.path("float32")
    code, found = as_json(capfd, file)
    result = found["result"]
    assert code == 0 and result["params"] == sum(one["params"] for one in result["operators"])
    assert [one["name"] for one in result["targets"]] == ["cpu", "gpu", "microcontroller", "browser"]
    assert result["arena_bytes"] == result["arena"]["activations"] + result["arena"]["kept"]
    assert 0 <= result["weights"]["sparsity"] <= 1 and "check" not in result


def test_check_passes_and_warns(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "relu.tflite"
    file.write_bytes(with_embedded(slow_ops.path("int8", "relu", 16, None).read_bytes(), {"name": "relu"}, {}))
    capfd.readouterr()
    code, found = as_json(capfd, file, "--check", "--runtime", "2.14")
    assert code == 0 and found["result"]["check"]["reasons"] == []
    assert found["warnings"] == found["result"]["check"]["warnings"] and len(found["warnings"]) == 3


def test_check_fails_with_the_result_and_the_reasons(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "flex.tflite"
    file.write_bytes(hostile.custom("FlexErf"))
    code, found = as_json(capfd, file, "--check")
    assert code == 1 and found["error"]["code"] == "check-failed" and "FlexErf" in found["error"]["message"]
    assert found["result"]["flex"] == ["FlexErf"]
    code, out, err = run(capfd, file, "--check")
    assert code == 1 and "Needs the Flex delegate for FlexErf" in out and "Flex delegate" in err
    assert run(capfd, file)[0] == 0  # without --check it is a fact among others


def test_an_exported_file_passes(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    images = (tiny.pictures().astype(np.float32),)
    data = ArrayData("pictures", images, images, "0" * 64)
    keras.utils.set_random_seed(0)
    image = keras.Input((tiny.SIZE, tiny.SIZE, 3))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, keras.layers.Dense(6, bias_initializer="ones")(flat))
    made = export(model, tmp_path / "out", dataset=data, variants=("float32",))[0]
    capfd.readouterr()
    code, found = as_json(capfd, made.path, "--check", "--runtime", "2.14")
    assert code == 0 and found["result"]["card"] and found["result"]["macs"] == made.card.macs
    assert found["result"]["contract"]["model_sha256"] == made.card.model_sha256
    assert len(found["result"]["contract"]["golden"]["vectors"]) == 3
    made.path.with_suffix(".card.json").write_text("{}")
    code, found = as_json(capfd, made.path, "--check")
    assert code == 1 and "is not a card" in found["error"]["message"]


def test_the_drawing_is_a_new_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, drawing = tmp_path / "relu.tflite", tmp_path / "relu.svg"
    file.write_bytes(one_op("RELU"))
    assert run(capfd, file, "--graph", drawing)[0] == 0 and drawing.read_text("utf-8").startswith("<svg")
    drawing.write_text("mine")
    code, found = as_json(capfd, file, "--graph", drawing)
    assert code == 2 and "exists already" in found["error"]["message"] and drawing.read_text() == "mine"


def test_names_that_are_code_are_shown_as_text(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "named.tflite"
    file.write_bytes(hostile.renamed(one_op("RELU")))
    code, out, _ = run(capfd, file)
    assert code == 0 and "\x1b" not in out and "\u202e" not in out and "\\x1b[2J" in out
    _, found = as_json(capfd, file)
    assert found["result"]["inputs"][0]["name"] == hostile.NAME


@pytest.mark.parametrize(
    ("argv", "exit_code", "words"),
    [
        (["none.tflite"], 3, "does not exist"),
        (["."], 3, "is a folder"),
        (["text.tflite"], 3, "is not a TensorFlow Lite model"),
        (["cut.tflite"], 3, "is damaged"),
        (["good.tflite", "--runtime", "2.14"], 2, "--check"),
        (["good.tflite", "--check", "--runtime", "soon"], 2, "is no version"),
    ],
)
def test_bad_input(
    argv: list[str], exit_code: int, words: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "text.tflite").write_text("hello")
    (tmp_path / "cut.tflite").write_bytes(tiny.tflite("int8")[:1500])
    (tmp_path / "good.tflite").write_bytes(tiny.tflite("int8"))
    given = [str(tmp_path / argv[0]), *argv[1:]]
    code, found = as_json(capfd, *given)
    assert code == exit_code and words in found["error"]["message"] and found["error"]["remedy"]
    code, out, err = run(capfd, *given)
    assert (code, out, err.count("\n")) == (exit_code, "", 1)
