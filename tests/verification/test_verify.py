"""LiteRT's three ways to compute, asked for real; the runtimes that are added are in test_foreign_runtimes."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli import main
from edgekit.errors import BadInput, UsageError
from edgekit.runtime.flatbuffer import pack, parse
from edgekit.verification import verify as module
from edgekit.verification.difference import LIMITS, Limit
from edgekit.verification.rows import FIRST, ROWS, Row
from edgekit.verification.trace import Trace, Untraced, _tapped
from edgekit.verification.verify import Result, verify
from tests import tiny
from tests.described import array_model, described
from tests.measurement import slow_ops
from tests.runtime import hostile
from tests.runtime.one_op import one_op

LITERT = ("litert", "litert-plain", "litert-reference")


@pytest.fixture(autouse=True)
def only_litert(monkeypatch, tmp_path):
    """No runtime is added here, and the slow ones are another file's."""
    monkeypatch.setenv("EDGEKIT_RUNTIMES", str(tmp_path / "none"))
    for name in ("litert-gpu", "aarch64"):
        monkeypatch.delitem(ROWS, name)


def by_name(found: module.Verification) -> dict[str, Result]:
    return {one.name: one for one in found.results}


def test_a_float_file(capfd) -> None:
    found = verify(slow_ops.path("float32"))
    rows = by_name(found)
    assert found.computes_in == "float32" and found.failed is None and found.inputs["seeded"] == 4
    assert [rows[name].status in ("first", "within", "equal") for name in LITERT] == [True] * 3
    assert {rows[name].group for name in LITERT} >= {"A"} and rows[FIRST].notes == {"delegate": "XNNPACK"}
    for name in LITERT[1:]:
        apart = rows[name].difference
        assert apart is not None and apart.max_relative is not None and apart.max_relative < 1e-4
    for name in ("tflite-runtime", "tflm", "browser"):
        assert (rows[name].status, rows[name].remedy) == ("skipped", f"edgekit runtime add {name}")
    assert "it takes pictures" in rows["mediapipe"].reason


def test_an_integer_file_names_its_first_difference() -> None:
    """Hard-swish in 8 bits: both compute it without XNNPACK, and the convolution before it differs by single steps."""
    found = verify(slow_ops.path("int8"))
    rows = by_name(found)
    reference = rows["litert-reference"]
    assert found.computes_in == "int8" and found.failed is None
    assert reference.status in ("equal", "within")
    if reference.status == "within":
        assert isinstance(reference.trace, Trace) and reference.trace.max_steps is not None
        assert reference.limit is LIMITS["int8", "cpu"] and reference.difference is not None
        named = parse(slow_ops.path("int8").read_bytes()).subgraphs[0]
        assert reference.trace.layer.encode() in [one.name for one in named.tensors]


def test_a_limit_that_is_broken_fails_the_check(monkeypatch, capfd) -> None:
    monkeypatch.setitem(LIMITS, ("float32", "cpu"), Limit("Tests.", 0.0))
    code = main(["verify", str(slow_ops.path("float32")), "--json"])
    document = json.loads(capfd.readouterr().out)
    statuses = {one["name"]: one["status"] for one in document["result"]["runtimes"]}
    if "beyond" in statuses.values():  # where all kernels add in the same order there is nothing to break
        assert code == 1 and "is not the same everywhere" in document["error"]["message"]
        beyond = next(one for one in document["result"]["runtimes"] if one["status"] == "beyond")
        assert "limit 0" in beyond["reason"] and beyond["first_difference"]["op"]


def lying(name: str, answer) -> Row:
    """A row whose runtime answers what `answer` makes of LiteRT's answer."""
    return Row(name, name, lambda job: answer(ROWS[FIRST].run(job)))


def test_another_network_is_found_and_required_runtimes_are_missed(monkeypatch) -> None:
    def shifted(answer):
        wrong = np.roll(answer.arrays()[0], 1, axis=-1)
        import base64

        output = answer.outputs[0].model_copy(update={"data": base64.b64encode(wrong.tobytes()).decode()})
        return answer.model_copy(update={"outputs": [output]})

    def other_shape(answer):
        return answer.model_copy(update={"outputs": [answer.outputs[0].model_copy(update={"shape": [24, 1]})]})

    monkeypatch.setitem(ROWS, "shifted", lying("shifted", shifted))
    monkeypatch.setitem(ROWS, "shaped", lying("shaped", other_shape))
    found = verify(tiny.path("fixed"), require=["tflm"])
    rows = by_name(found)
    assert rows["shifted"].status == "beyond" and rows["shifted"].group != "A"
    assert rows["shaped"].status == "failed" and "outputs have the shapes" in rows["shaped"].reason
    assert found.failed is not None and found.failed.exit_code == 1
    assert "shifted: up to" in found.failed.fact and "TensorFlow Lite Micro was required" in found.failed.fact
    assert found.failed.remedy == "Try: edgekit runtime add tflm"
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["required"] == ["tflm"]


@pytest.mark.parametrize("variant", ["float32", "uint8_io"])
def test_images_are_prepared_for_every_kind_of_input(variant: str, tmp_path: Path) -> None:
    found = verify(tiny.path(variant), data=str(tiny.folder(tmp_path, 8)), preprocess="raw")
    assert found.inputs == {"golden": 0, "seeded": 4, "images": 8} and found.failed is None
    agreed = [one.difference.agreement for one in found.results if one.difference]
    assert agreed == [1.0, 1.0]


def test_several_outputs_of_several_inputs() -> None:
    model = parse(one_op("ADD", inputs=((1, 4, 4, 8), (1, 4, 4, 8))))
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    graph.operators[0].builtinOptionsType, graph.operators[0].builtinOptions = (
        schema.BuiltinOptions.AddOptions,
        schema.AddOptionsT(),
    )
    graph.outputs = [2, 2]
    found = by_name(verify(written(pack(model))))
    assert {found[name].status for name in LITERT} == {"first", "equal"}
    assert found["litert-plain"].difference.agreement is None


def test_golden_arrays_are_inputs(tmp_path: Path) -> None:
    found = verify(described(tmp_path, array_model("int8")))
    assert found.inputs == {"golden": 3, "seeded": 4, "images": 0} and found.failed is None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(content: bytes) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp(prefix="edgekit-verify-")) / "model.tflite"
    path.write_bytes(content)
    return path


def test_names_that_mean_no_good(capfd) -> None:
    assert main(["verify", str(written(hostile.renamed(slow_ops.path("int8").read_bytes())))]) == 0
    assert hostile.NAME not in capfd.readouterr().out


def test_what_no_row_is_called_and_files_that_do_not_run() -> None:
    with pytest.raises(UsageError, match="Unknown runtime 'tlfm'"):
        verify(tiny.path("fixed"), require=["tlfm"])
    with pytest.raises(BadInput, match="does not exist"):
        verify("none.tflite")
    with pytest.raises(UsageError, match="no card"):
        verify(tiny.path("fixed"), data="digits")


def test_tensors_too_large_to_look_at_are_said(monkeypatch) -> None:
    monkeypatch.setattr("edgekit.verification.trace.ROOM", 10)
    rows = by_name(verify(slow_ops.path("float32")))
    traces = [rows[name].trace for name in LITERT[1:] if rows[name].status == "within"]
    assert all(isinstance(one, Untraced) and "too large" in one.reason for one in traces)


def test_the_operator_that_makes_the_output_is_looked_at_too() -> None:
    changed, taps, _ = _tapped(tiny.tflite("fixed"))
    assert (taps[-1].op, taps[-1].operator) == ("SOFTMAX", max(one.operator for one in taps))
    assert len(parse(changed).subgraphs[0].outputs) == len(taps) > 1
