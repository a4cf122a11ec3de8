import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.compression.sensitivity import computing, layer_names, layer_of, sensitivity
from edgekit.data.images import normalize
from edgekit.evaluation.metrics import sqnr_db
from edgekit.exporting.export import Exporter
from edgekit.progress import Progress
from edgekit.quantize_config import Quantize
from edgekit.runtime.quantization import dequantize, quantize
from tests.compression.unbalanced import SPOILED, digits, network


@pytest.fixture(scope="module")
def exporter() -> Exporter:
    dataset = digits()
    return Exporter(network(dataset), dataset)


def test_the_spoiled_layer_and_its_reader_cost_everything_and_the_others_nothing(exporter: Exporter) -> None:
    found = sensitivity(exporter)
    assert {one.layer for one in found.layers[:2]} == {SPOILED, "narrow"}
    for one in found.layers[:2]:
        assert one.score.agreement < 0.5 and one.score.drop_points > 30 and one.score.sqnr_db < 10, one
    for one in found.layers[2:]:
        assert one.score.agreement > 0.97 and one.score.drop_points < 2 and one.score.sqnr_db > 30, one
    assert [one.op for one in found.layers].count("CONV_2D") == 3
    assert {one.layer for one in found.layers} == {"stem", SPOILED, "narrow", "pool", "logits", "softmax"}
    noise = [one.score.sqnr_db for one in found.layers]
    assert noise == sorted(noise) and found.whole.sqnr_db <= noise[0] + 1
    assert {one.score.n for one in found.layers} == {len(digits().val)}


def test_a_report_is_a_table_and_json(exporter: Exporter) -> None:
    found = sensitivity(exporter, images=100)
    frame = found.to_frame()
    assert list(frame.columns) == ["layer", "op", "agreement", "sqnr_db", "drop_points", "n", "tensor"]
    assert (len(frame), frame["n"].unique().tolist()) == (len(found.layers), [100])
    assert json.loads(json.dumps(found.to_json()))["layers"][0]["layer"] == frame["layer"][0]
    assert found.to_json()["whole"] == dataclasses.asdict(found.whole)


def rounded(values: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Through int8 codes that cover the range of `over`."""
    low, high = min(over.min(), 0), max(over.max(), 0)
    scale = (high - low) / 255
    zero_point = round(-128 - low / scale)
    return dequantize(quantize(values, scale, zero_point, "int8"), scale, zero_point)


def test_one_layer_alone_is_as_noisy_as_its_integer_arithmetic_in_numpy(exporter: Exporter) -> None:
    import keras

    model, data = exporter.model, digits()
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)
    features, seen = (np.asarray(pooled(normalize(split.read(range(len(split))), data.preprocess), training=False))
                      for split in (data.val, data.calibration))  # fmt: skip
    kernel, bias = model.get_layer("logits").get_weights()
    step = np.abs(kernel).max(axis=0) / 127
    integer = rounded(features, seen) @ (np.rint(kernel / step) * step) + bias
    expected = sqnr_db(features @ kernel + bias, rounded(integer, seen @ kernel + bias))
    whole = Exporter(model, data, softmax=False, quantize=Quantize(calibration="minmax"))
    found = {one.layer: one.score for one in sensitivity(whole).layers}
    assert found["logits"].sqnr_db == pytest.approx(expected, abs=0.3)


def test_a_killed_report_continues_and_comes_out_the_same(exporter: Exporter, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(progress: Progress) -> None:
        if progress.done == 3:
            raise Killed

    whole = sensitivity(exporter)
    with pytest.raises(Killed):
        sensitivity(exporter, state=tmp_path, progress=kill)
    (journal,) = tmp_path.iterdir()
    assert len(journal.read_text().splitlines()) == 3
    before = journal.read_text()
    assert sensitivity(exporter, state=tmp_path) == whole
    after = journal.read_text()
    assert after.startswith(before) and len(after.splitlines()) == len(whole.layers) + 1  # none twice, and the whole


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("net_1/re_lu_1_2/Relu;net_1/conv2d_1_2/convolution", "conv2d_1"),
        ("net_1/re_lu_1/Relu;net_1/bn_1/batchnorm/add_1;net_1/dw_1/depthwise1;net_1/pad_1/Pad1", "dw"),
        ("net_1/inner_1/add_1/Add", "add"),
        ("net_1/gate_1/Sigmoid", "gate"),
        ("net_1/dense_1_1/MatMul;net_1/dense_1_1/BiasAdd", "dense_1"),
        ("conv2d_1", "conv2d_1"),
        ("StatefulPartitionedCall/unknown/add;other", "StatefulPartitionedCall/unknown/add"),
    ],
)
def test_a_tensor_is_named_after_the_layer_of_its_kernel(tensor: str, layer: str) -> None:
    layers = {"conv2d", "conv2d_1", "re_lu", "re_lu_1", "dw", "bn", "pad", "inner", "add", "gate", "dense", "dense_1"}
    assert layer_of(tensor, layers) == layer


def test_layers_of_nested_models_are_named(exporter: Exporter) -> None:
    import keras

    image = keras.Input((8, 8, 3))
    inside = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="deep")], name="inside")
    flat = keras.layers.Flatten(name="flat")(inside(image))
    model = keras.Model(image, keras.layers.Dense(10, name="answer")(flat))
    assert {"deep", "inside", "answer"} <= layer_names(model) and layer_names(object()) == frozenset()
    operators = computing(Exporter(model, digits()).calibrated(), layer_names(model), ("softmax",))
    assert [(one.op, one.layer) for one in operators] == [
        ("CONV_2D", "deep"), ("FULLY_CONNECTED", "answer"), ("SOFTMAX", "softmax")]  # fmt: skip
