"""The array of a microcontroller's bundle in TensorFlow Lite Micro itself, through its Python wheel: the answers are
those of LiteRT's reference kernels to the bit, and the arena that the bundle states is enough and 10 % less is not.

The wheel lives in an environment of its own: edgekit runtime add tflm.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgekit.bundles.bundle import bundle
from edgekit.exporting.set_metadata import Changes, set_metadata
from edgekit.runtime.probe import random_inputs
from tests import tiny

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekit" / "runtimes"
PYTHON = Path(os.environ.get("EDGEKIT_RUNTIMES") or CACHE) / "tflm" / "bin" / "python"
# Reads {"model", "arena", "inputs"} and writes the outputs as lists; a failed allocation may end the process.
MICRO = """
import json, sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
asked = json.load(sys.stdin)
interpreter = runtime.Interpreter.from_bytes(bytes.fromhex(asked["model"]), arena_size=asked["arena"])
outputs = []
for values in asked["inputs"]:
    interpreter.set_input(np.array(values, asked["dtype"]), 0)
    interpreter.invoke()
    outputs.append(interpreter.get_output(0).tolist())
json.dump(outputs, sys.stdout)
"""

pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="no tflite-micro here: edgekit runtime add tflm")


def shipped(folder: Path) -> tuple[bytes, int]:
    """(the array, the arena's bytes) as the bundle's C++ has them."""
    text = (folder / "model.cc").read_text()
    array = text.split("kModel[] = {")[1].split("}")[0].replace("\n", "").split(",")
    return bytes(int(one) for one in array if one.strip()), int(re.findall(r"kArenaBytes = (\d+);", text)[0])


def micro(model: bytes, arena: int, inputs: np.ndarray) -> np.ndarray | None:
    """None where it does not run."""
    asked = {"model": model.hex(), "arena": arena, "inputs": inputs.tolist(), "dtype": inputs.dtype.name}
    ended = subprocess.run([PYTHON, "-I", "-c", MICRO], input=json.dumps(asked), capture_output=True, text=True)
    return np.array(json.loads(ended.stdout), inputs.dtype) if ended.returncode == 0 else None


def reference(model: bytes, inputs: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    outputs = []
    for values in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.array(outputs)


def files() -> list[Path]:
    return [tiny.path("fixed_int8_io"), *tiny.real_int8()]


@pytest.mark.parametrize("number", range(3))
def test_it_runs_in_the_stated_arena_and_in_no_tenth_less(tmp_path: Path, number: int) -> None:
    if number >= len(files()):
        pytest.skip("MLPerf Tiny's models are not here")
    file = files()[number]
    classes = {0: tiny.CLASSES, 1: 10, 2: 2}[number]
    changes = Changes(labels=tuple(f"class {at}" for at in range(classes)), preprocess="raw")
    named = set_metadata(file, changes, tmp_path / "named.tflite")
    made = bundle(named, "mcu", tmp_path / "app")
    model, arena = shipped(Path(made.folder))
    from edgekit.runtime.probe import probe

    inputs = np.array([random_inputs(probe(named).inputs, seed)[0] for seed in range(4)])
    assert np.array_equal(micro(model, arena, inputs), reference(model, inputs))
    assert micro(model, int(arena * 0.9), inputs[:1]) is None
