import subprocess
import sys

import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.runtime.flatbuffer import pack, parse
from edgekit.runtime.interpreter import open_model, too_new
from tests import tiny


def real(n=8):
    return tiny.pictures(n).astype(np.float32)


@pytest.mark.parametrize("variant", ["float32", "int8", "int8_io", "uint8_io"])
def test_answers_are_real_numbers_whatever_the_file_holds(variant):
    (scores,) = open_model(tiny.path(variant), batch=8).run(real())
    assert scores.dtype == np.float32 and scores.shape == (8, tiny.CLASSES)
    assert scores.argmax(axis=1).tolist() == tiny.targets(8).tolist()
    assert np.allclose(scores.sum(axis=1), 1, atol=0.02)


def test_tensors_are_described_with_their_quantization():
    info = open_model(tiny.path("int8_io")).inputs[0]
    assert (info.shape, info.dtype) == ((1, 8, 8, 3), "int8")
    assert info.scale == pytest.approx(250 / 255, rel=1e-3) and info.zero_point == -128
    assert open_model(tiny.path("float32")).inputs[0].scale is None


def test_codes_of_the_inputs_own_dtype_pass_unchanged():
    loaded = open_model(tiny.path("uint8_io"), batch=8)
    info = loaded.inputs[0]
    assert np.array_equal(loaded.run(info.encode(real()))[0], loaded.run(real())[0])


def test_bytes_and_path_give_the_same():
    one, other = open_model(tiny.path("float32")), open_model(tiny.tflite("float32"))
    assert np.array_equal(one.run(real(1))[0], other.run(real(1))[0])
    assert one.runtime.startswith("ai-edge-litert ")


def test_a_batch_that_the_file_cannot_take_is_said():
    loaded = open_model(tiny.path("fixed"), batch=8)
    assert loaded.batch == 1 and loaded.refused
    assert open_model(tiny.path("float32"), batch=8).refused == ""


def test_r15_a_wrong_size_is_refused_and_the_expected_one_named():
    with pytest.raises(BadInput, match=r"expects input \[1, 8, 8, 3\], not \[1, 9, 9, 3\]"):
        open_model(tiny.path("float32")).run(np.zeros((1, 9, 9, 3), np.float32))


def test_a_file_that_the_runtime_rejects_is_one_sentence():
    with pytest.raises(BadInput, match=r"^it\.tflite cannot be run: .*\. Check the file"):
        open_model(b"\x1c\0\0\0TFL3" + bytes(100), name="it.tflite")


def test_a_file_that_is_newer_than_the_runtime_says_what_to_do():
    model = parse(tiny.tflite("int8"))
    for code in model.operatorCodes:
        code.version = 99
    with pytest.raises(BadInput) as caught:
        open_model(pack(model), name="it.tflite")
    assert caught.value.fact.startswith("it.tflite needs version 99 of ")
    assert caught.value.remedy == "Install a newer runtime, or export the model again with its converter."
    said = "Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'"
    found = too_new("it.tflite", said, "tflite-runtime 2.14.0")
    assert found is not None and "--set steps.rewrite.dense=conv" in found.remedy
    assert too_new("it.tflite", "Something else", "tflite-runtime 2.14.0") is None


def test_tensorflow_is_not_imported():
    code = "import sys, edgekit.runtime.probe as p; p.open_model(sys.argv[1]); print('tensorflow' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, tiny.path("float32")], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
