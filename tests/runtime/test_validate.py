import tracemalloc
import zipfile

import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.runtime.validate import read_model, validate
from tests import tiny


def altered(variant, change):
    """The file with `change` applied to its object form."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tiny.tflite(variant), 0))
    change(model)
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def scale(model, value):
    quantized = [t for t in model.subgraphs[0].tensors if t.quantization and t.quantization.scale is not None]
    quantized[0].quantization.scale = np.array([value], np.float32)


def weights(model):
    graph = model.subgraphs[0]
    return next(t for t in graph.tensors if model.buffers[t.buffer].data is not None and len(t.shape) == 4)


DAMAGE = {
    "no subgraph": (lambda m: setattr(m, "subgraphs", []), "no subgraph"),
    "version": (lambda m: setattr(m, "version", 2), "schema version 2"),
    "buffer": (lambda m: setattr(m.subgraphs[0].tensors[0], "buffer", 999), "refers to buffer 999"),
    "code": (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 77), "operator 0 has code 77"),
    "operand": (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0, 500]), "inputs of operator 0"),
    "result": (lambda m: setattr(m.subgraphs[0].operators[0], "outputs", [-1]), "outputs of operator 0"),
    "graph input": (lambda m: setattr(m.subgraphs[0], "inputs", [-5]), "graph's inputs"),
    "no output": (lambda m: setattr(m.subgraphs[0], "outputs", []), "no input or no output"),
    "negative size": (lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [1, -8, 8, 3]), "has the shape"),
    "huge": (
        lambda m: setattr(m.subgraphs[0].tensors[0], "shape", [1, 40000, 40000, 3]),
        "would take 4,800,000,000 bytes",
    ),
    "short weights": (lambda m: setattr(weights(m), "shape", [4, 1, 8, 4]), "holds 96 bytes"),
    "scale 0": (lambda m: scale(m, 0.0), "zero, negative or not finite"),
    "scale nan": (lambda m: scale(m, np.nan), "zero, negative or not finite"),
    "scale inf": (lambda m: scale(m, np.inf), "zero, negative or not finite"),
    "scales": (lambda m: setattr(weights(m).quantization, "scale", np.ones(3, np.float32)), "3 quantization scales"),
    "zero point": (lambda m: setattr(m.subgraphs[0].tensors[0].quantization, "zeroPoint", [500]), "outside its type"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_named(kind):
    change, words = DAMAGE[kind]
    with pytest.raises(BadInput, match=f"^m.tflite is damaged: .*{words}") as caught:
        validate(altered("int8_io", change), "m.tflite")
    assert caught.value.remedy and "\n" not in str(caught.value)


@pytest.mark.parametrize("variant", ["float32", "int8", "int8_io", "uint8_io", "fixed"])
def test_whole_files_pass(variant):
    validate(tiny.tflite(variant))
    validate(altered(variant, lambda model: None))


@pytest.mark.parametrize("path", tiny.real_int8(), ids=lambda path: path.stem)
def test_published_files_pass(path):
    read_model(path)


def test_every_truncation_is_refused_or_whole():
    content = tiny.tflite("int8")
    for end in range(0, len(content) - 200, 7):
        with pytest.raises(BadInput):
            validate(content[:end])


def test_weights_are_not_read():
    def widen(model):
        one = weights(model)
        one.shape = np.array([4, 1, 8, 3_000_000], np.int32)
        one.quantization = None
        model.buffers[one.buffer].data = np.zeros(96_000_000, np.uint8)

    content = altered("int8", widen)
    tracemalloc.start()
    try:
        validate(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # of 96 MB


def test_what_is_no_model_is_said(tmp_path):
    keras, empty, text = tmp_path / "m.keras", tmp_path / "e.tflite", tmp_path / "t.tflite"
    with zipfile.ZipFile(keras, "w") as archive:
        archive.writestr("config.json", "{}")
    empty.touch()
    text.write_text("hello, I am a model")
    for path, words in [
        (keras, "is not a TensorFlow Lite model: it looks like a zip archive"),
        (empty, "is not a TensorFlow Lite model: it is empty"),
        (text, "is not a TensorFlow Lite model"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.tflite", "does not exist"),
    ]:
        with pytest.raises(BadInput, match=words):
            read_model(path)
