from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgekit.errors import BadInput
from edgekit.report.op_graph import op_graph
from edgekit.runtime.dissect import inspect
from tests.measurement import slow_ops
from tests.runtime import hostile
from tests.runtime.one_op import one_op

SVG = "{http://www.w3.org/2000/svg}"


def test_a_box_an_operator_and_a_line_a_tensor_between_two() -> None:
    found = inspect(slow_ops.path("int8"))
    drawn = ElementTree.fromstring(op_graph(found))
    assert len(drawn.findall(f"{SVG}g")) == len(found.operators)
    assert len(drawn.findall(f"{SVG}path")) == sum(len(one.takes) for one in found.operators) >= 8
    titles = [one.findtext(f"{SVG}title") or "" for one in drawn.findall(f"{SVG}g")]
    assert sum("XNNPACK has HARD_SWISH in float32 alone" in title for title in titles) == 2


def test_names_that_are_markup_stay_text(tmp_path: Path) -> None:
    file = tmp_path / "named.tflite"
    file.write_bytes(hostile.renamed(one_op("RELU")))
    text = op_graph(inspect(file))
    assert "<script" not in text and "\x1b" not in text
    assert "<script>" in "".join(ElementTree.fromstring(text).itertext())


def test_too_many_to_draw(tmp_path: Path) -> None:
    file = tmp_path / "long.tflite"
    file.write_bytes(hostile.chain(2001))
    with pytest.raises(BadInput, match="at most 2,000"):
        op_graph(inspect(file))
