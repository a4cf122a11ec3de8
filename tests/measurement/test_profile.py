"""Times of operators: all of them, by the right layer, whose sum is told beside the whole."""

import ast
import json
import subprocess
import sys

import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement.host import AGENT
from edgekit.measurement.inner_operators import operators_of
from edgekit.measurement.look import look
from edgekit.measurement.profile import placement, profile
from edgekit.runtime.placement import Operator
from tests import tiny
from tests.measurement import slow_ops
from tests.runtime.one_op import made, one_op

SHORT = {"min_runs": 20, "min_seconds": 0.05}


@pytest.fixture(scope="module")
def hard():
    return profile(slow_ops.path("int8"), **SHORT)


def test_every_operator_outside_the_delegate_and_inside_of_it(hard):
    outside = [one for one in hard.operators if not one.delegated]
    assert [(one.op, one.dtype) for one in outside] == [("HARD_SWISH", "int8")] * 2
    assert [one.node for one in outside] == [one.index for one in hard.placement.outside]
    assert "stem_act" in outside[0].layer and "deep_act" in outside[1].layer
    layers = {"CONV_2D": ("stem_1", "wide_1"), "DEPTHWISE_CONV_2D": ("deep_1",), "MEAN": ("pooling",)}
    for op, names in layers.items():
        found = [one.layer for one in hard.operators if one.delegated and one.op == op]
        assert all(name in layer for name, layer in zip(names, found, strict=True))


def test_the_sum_of_the_operators_beside_the_whole(hard):
    assert sum(one.share for one in hard.operators) == pytest.approx(1)
    assert all(one.runs == hard.profiled_us.n >= 20 for one in hard.operators)
    assert hard.whole_us.n >= 20 and hard.whole_us.median > 0
    assert 0 < hard.sum_us == sum(one.median_us for one in hard.operators)
    assert hard.sum_us < 1.2 * hard.profiled_us.median
    frame = hard.to_frame()
    assert len(frame) == len(hard.operators) and {"op", "layer", "delegated", "median_us", "share"} <= set(frame)
    assert json.loads(json.dumps(hard.to_json(), allow_nan=False))["sum_us"] == hard.sum_us


def test_files_that_are_all_delegated():
    found = profile(slow_ops.path("float32"), threads=2, **SHORT)
    assert found.placement.percent == 100 and found.placement.partitions == 1 and found.threads == 2
    assert {one.op for one in found.operators} >= {"CONV_2D", "DEPTHWISE_CONV_2D", "HARD_SWISH", "FULLY_CONNECTED"}


def test_a_batch_that_is_left_open_is_one():
    found = profile(slow_ops.path("int8", "relu", 16, None), **SHORT)
    named = [one.op for one in found.operators if one.node is not None]
    assert found.placement.percent == 100
    assert named == ["QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED", "DEQUANTIZE"]


def test_sixteen_bits_are_outside():
    found = placement(slow_ops.path("int16x8", "relu"))
    assert found.delegate is None and found.partitions == 0 and found.percent == 0
    assert all(one.reason == f"XNNPACK computes in float32 and in 8 bits, and this {one.op} is int16"
               for one in found.outside)  # fmt: skip


def test_the_gate_names_the_operators():
    found = look(slow_ops.path("int8"), profiled=False, required=95)
    assert found.failed is not None and found.failed.exit_code == 1
    assert "2 x HARD_SWISH int8" in found.failed.fact and "limit 95 %" in found.failed.fact
    assert look(slow_ops.path("int8"), profiled=False, required=50).failed is None
    assert look(slow_ops.path("int8", "relu"), profiled=False, required=100).failed is None
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["profile"] is None and [one["op"] for one in written["placement"]["outside"]] == ["HARD_SWISH"] * 2


def operator(index, op):
    return Operator(index, op, f"layer{index}", "int8", "", (1, 4), (), (), 0)


def test_inner_operators_are_named_only_where_it_is_certain():
    part = [operator(0, "CONV_2D"), operator(1, "ADD"), operator(2, "CONV_2D"), operator(3, "RESHAPE")]
    kernels = [
        "Fully Connected (NC, QS8, QC8W) GEMM",
        "Add (ND)",
        "Convolution (NHWC, QC8) IGEMM",
        "Static Reshape (NC)",
    ]
    assert [one and one.index for one in operators_of(kernels, part)] == [0, 1, 2, None]
    assert [one and one.index for one in operators_of(["Copy (NC)", *kernels[:2]], part)] == [None, None, 1]


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"min_runs": 0}, {"min_seconds": -1}, {"min_seconds": float("nan")}])
def test_counts_that_are_none(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        profile(tiny.path("int8"), **wrong)
    with pytest.raises(UsageError, match="required is 101"):
        look(tiny.path("int8"), required=101)


def test_a_file_that_is_newer_than_the_runtime(tmp_path):
    new = tmp_path / "new.tflite"
    new.write_bytes(one_op("ADD", inputs=((1, 4),) * 2, output=(1, 4), options=made("Add"), version=99))
    for wanted in (profile, placement):
        with pytest.raises(BadInput, match="version 99 of ADD, which ai-edge-litert .* does not have"):
            wanted(new)


def test_shapes_that_are_computed_have_that_reason():
    """A batch that is not fixed: flattening computes its shape."""
    reasons = {one.op: one.reason for one in placement(tiny.path("int8")).outside}
    assert "computed while the network runs" in reasons["RESHAPE"]
    assert reasons["SHAPE"] == "XNNPACK has no SHAPE"


@pytest.mark.parametrize("file", sorted(AGENT.parent.glob("agent_*.py")), ids=lambda file: file.stem)
def test_what_travels_with_the_agent_needs_no_more_than_it(file):
    tree = ast.parse(file.read_text("utf-8"))
    names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy"}


def test_the_agent_without_its_second_file_says_so(tmp_path):
    alone = tmp_path / "agent.py"
    alone.write_bytes(AGENT.read_bytes())
    asked = json.dumps({"kind": "profile", "model": str(tiny.path("int8"))})
    ran = subprocess.run([sys.executable, "-P", str(alone), asked], capture_output=True, text=True)
    assert json.loads(ran.stdout)["error"] == {
        "kind": "request",
        "message": "'profile' needs agent_profile.py beside the agent",
    }
