"""Where operators run, as a value: shares, reasons, text, the gate."""

import numpy as np

from edgekit.runtime.placement import delegated_enough, placed
from tests.runtime.one_op import made, one_op

HARD = one_op("HARD_SWISH", "int8")
ADD = one_op("ADD", inputs=((1, 4),) * 2, output=(1, 4), options=made("Add"))


def test_what_a_runtime_said_of_its_delegate():
    found = placed(ADD, "XNNPACK", [[0]])
    (add,) = found.operators
    assert (add.op, add.layer, add.dtype, add.shape, add.partition, add.reason) == (
        "ADD",
        "out0",
        "float32",
        (1, 4),
        0,
        "",
    )
    assert add.inputs == (0, 1) and add.outputs == (2,) and add.delegated
    assert found.percent == 100 and found.outside == () and found.reasons() == {}
    assert found.text() == "XNNPACK runs 1 of 1 operators (100 %), in 1 part of the graph."
    assert delegated_enough(found, 100, "a.tflite") is None


def test_what_is_outside_says_why():
    found = placed(HARD, None, [])
    reason = "XNNPACK has HARD_SWISH in float32 alone, and this one is int8"
    assert found.percent == 0 and found.reasons() == {("HARD_SWISH", "int8", reason): 1}
    assert found.text().splitlines() == [
        "No delegate: all 1 operators run in the runtime's own kernels.",
        f"  outside: 1 x HARD_SWISH: {reason}",
    ]
    failed = delegated_enough(found, 95, "a.tflite")
    assert failed is not None and failed.exit_code == 1
    assert failed.fact == (
        "a.tflite runs 0.0 % of its operators in the delegate, limit 95 %; outside are 1 x HARD_SWISH int8."
    )
    assert found.to_json()["outside"] == [
        {"index": 0, "op": "HARD_SWISH", "layer": "out0", "dtype": "int8", "shape": [1, 4, 4, 8], "reason": reason}
    ]


def test_another_delegate_has_reasons_that_are_not_known():
    assert placed(HARD, "GPU", []).operators[0].reason == "GPU did not take it"


def test_weights_are_told_from_activations():
    constants = {1: np.ones((8, 3, 3, 8), np.int8), 2: np.zeros(8, np.float32)}
    content = one_op("CONV_2D", constants=constants, options=made("Conv2D", strideW=1, strideH=1))
    (layer,) = placed(content, "XNNPACK", [[0]]).operators
    assert (layer.dtype, layer.weights) == ("float32", "int8")
