"""What an inspection says, against the network that a file was made of and the runtime that runs it."""

import time
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.measurement.profile import placement
from edgekit.models.backend import import_keras
from edgekit.models.count import count
from edgekit.models.zoo import build
from edgekit.runtime.dissect import inspect
from edgekit.runtime.flatbuffer import pack, parse
from tests import tiny
from tests.measurement import slow_ops
from tests.runtime import hostile
from tests.runtime.one_op import made, one_op

keras = import_keras("Testing")


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2", "mobilenet_v3_small", "lenet5", "squeezenet"])
def test_parameters_and_macs_are_those_of_the_network(name: str, tmp_path: Path) -> None:
    model = build(name, classes=10, input_shape=(32, 32, 3))
    generator = np.random.default_rng(0)  # a bias of zeros would not be written
    model.set_weights([generator.uniform(0.5, 1.5, one.shape) if one.ndim == 1 else one for one in model.get_weights()])
    cost = count(model)
    found = inspect(written(tmp_path, convert(freeze(model), "float32", calibration=None)))
    assert (found.params, found.macs) == (cost.deployed_params, cost.macs) and not found.uncounted
    assert found.weight_bytes == 4 * found.params
    assert sum(one.macs or 0 for one in found.operators) == found.macs


@pytest.mark.parametrize("variant", ["float32", "float16", "dynamic", "int8"])
def test_what_xnnpack_takes_is_what_the_runtime_gave_it(variant: str) -> None:
    path = slow_ops.path(variant)
    found, real = inspect(path), placement(path)
    assert {one.index for one in found.operators if "cpu" in one.refused} == {one.index for one in real.outside}
    cpu = next(one for one in found.targets if one.name == "cpu")
    assert cpu.operators - cpu.taken == len(real.outside) and found.refused == "" and found.runtime


def test_targets_of_variants() -> None:
    verdicts = {
        variant: {one.name: one.verdict for one in inspect(slow_ops.path(variant)).targets}
        for variant in ("float32", "float16", "dynamic", "int8")
    }
    assert verdicts["float32"] == dict.fromkeys(("cpu", "gpu", "microcontroller", "browser"), "runs")
    assert verdicts["float16"]["microcontroller"] == verdicts["dynamic"]["microcontroller"] == "refuses"
    assert verdicts["int8"] == {"cpu": "partly", "gpu": "runs", "microcontroller": "runs", "browser": "partly"}


def test_integer_ports_do_not_run_in_a_browser() -> None:
    browser = {one.name: one for one in inspect(tiny.path("int8_io")).targets}["browser"]
    assert browser.verdict == "refuses" and "int8" in browser.blocked
    assert {one.name: one for one in inspect(tiny.path("uint8_io")).targets}["browser"].verdict != "refuses"


def test_ports_signatures_and_versions() -> None:
    found = inspect(tiny.path("int8_io"))
    assert found.inputs[0].dtype == "int8" and found.inputs[0].shape == (-1, 8, 8, 3) and found.inputs[0].scale
    assert found.signatures[0].key == "serving_default" and found.open_batch and found.subgraphs == 1
    assert found.stated_runtime is not None and found.oldest_runtime == found.stated_runtime.removesuffix(".0")
    assert found.arena is not None and found.arena.peak_op and not (found.flex or found.custom)


def test_zeros_and_repeats(tmp_path: Path) -> None:
    weights = np.zeros((8, 1, 1, 8), np.float32)
    weights[0, 0, 0] = [1, 1, 2, 2, 3, 3, 4, 4]
    options = made("Conv2D", strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    content = one_op("CONV_2D", constants={1: weights, 2: np.ones(8, np.float32)}, options=options)
    found = inspect(written(tmp_path, content))
    assert (found.values.size, found.values.zeros, found.values.distinct) == (64, 56, 5)
    # The first channel's two groups of four have no zeros, the others nothing else.
    assert (found.values.distinct_a_channel, found.values.fours, found.values.two_of_four) == (4, 64, 56)
    assert found.params == 72 and found.macs == 4 * 4 * 64 and found.repeats.arrays == 0
    model = parse(content)
    model.buffers[2].data = np.array(model.buffers[1].data)[:32]
    model.buffers[1].data = np.tile(np.array(model.buffers[2].data), 8)
    assert inspect(written(tmp_path, pack(model))).values.distinct == 4


def test_an_array_that_is_stored_twice(tmp_path: Path) -> None:
    import flatbuffers

    model = parse(one_op("ADD", inputs=(), constants={0: np.ones(128, np.float32), 1: np.ones(128, np.float32)},
                         output=(128,), options=made("Add")))  # fmt: skip
    model.subgraphs[0].inputs = [2]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    twice = inspect(written(tmp_path, bytes(builder.Output())))
    assert (twice.repeats.arrays, twice.repeats.bytes) == (1, 512)
    assert inspect(written(tmp_path, pack(model))).repeats.arrays == 0  # edgekit's own files store it once


def test_custom_and_flex_operators_are_inspected_though_they_do_not_run(tmp_path: Path) -> None:
    found = inspect(written(tmp_path, hostile.custom("FlexErf")))
    assert (found.flex, found.custom) == (("FlexErf",), ()) and "FlexErf" in found.refused
    assert {one.verdict for one in found.targets} == {"refuses"} and found.arena is None
    posing = inspect(written(tmp_path, hostile.custom("CONV_2D")))
    assert posing.custom == ("CONV_2D",) and posing.macs == 0 and posing.oldest_runtime is None
    assert {one.verdict for one in posing.targets} == {"refuses"}


def test_shapes_that_are_computed_or_open(tmp_path: Path) -> None:
    flattened = inspect(tiny.path("int8"))  # by a shape that is put together from the open batch
    assert flattened.dynamic == ("RESHAPE makes a shape that is computed while the network runs",)
    fixed = inspect(written(tmp_path, one_op("RELU")))
    assert fixed.dynamic == () and not fixed.open_batch
    batch = inspect(written(tmp_path, hostile.opened(one_op("RELU"), (-1, 4, 4, 8))))
    assert batch.dynamic == () and batch.open_batch
    sides = inspect(written(tmp_path, hostile.opened(one_op("RELU"), (-1, -1, -1, 8))))
    assert len(sides.dynamic) == 1 and {one.name: one.verdict for one in sides.targets}["gpu"] == "refuses"


def test_ten_thousand_operators(tmp_path: Path) -> None:
    path = written(tmp_path, hostile.chain(10_000))
    started = time.perf_counter()
    found = inspect(path)
    assert len(found.operators) == 10_000 and found.arena is not None and found.arena.activations == 2 * 4 * 4 * 8 * 4
    assert time.perf_counter() - started < 60


def test_what_is_damaged_is_bad_input(tmp_path: Path) -> None:
    content = tiny.tflite("int8")
    for broken in (b"", b"hello", content[:1500]):
        with pytest.raises(BadInput):
            inspect(written(tmp_path, broken))
    with pytest.raises(BadInput, match="does not exist"):
        inspect(tmp_path / "none.tflite")
