"""Two files beside each other: what is said to differ does, and what does not is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.cli.diff_text import diff_text
from edgekit.difference import changed, diff
from edgekit.exporting.set_metadata import Changes, set_metadata
from edgekit.runtime.flatbuffer import op_name, pack, parse
from tests import tiny


def with_a_changed_weight(content: bytes) -> bytes:
    """The kernel of the dense layer with one weight of its last class changed."""
    model = parse(content)
    graph = model.subgraphs[0]
    dense = next(one for one in graph.operators if op_name(model, one) == "FULLY_CONNECTED")
    buffer = model.buffers[graph.tensors[dense.inputs[1]].buffer]
    values = np.array(buffer.data, np.uint8).view(np.float32)
    values[-1] += 0.5
    buffer.data = values.view(np.uint8)
    return pack(model)


def test_a_file_beside_itself(tmp_path: Path) -> None:
    found = diff(tiny.path("float32"), tiny.path("float32"))
    assert found.same_file and found.same_model and not found.contract and not found.model.operators
    assert all(one.same for one in found.model.layers) and found.answers.max_abs == 0
    assert "The same bytes." in diff_text(found)


def test_metadata_alone(tmp_path: Path) -> None:
    made = set_metadata(tiny.path("float32"), Changes(preprocess="raw", labels=tuple("abcdef")), tmp_path / "m.tflite")
    found = diff(tiny.path("float32"), made)
    assert found.same_model and not found.same_file and not found.labels and found.answers.max_abs == 0
    assert found.contract["preprocessing.height"] == (None, 8)
    assert "what differs is its metadata" in diff_text(found) and "labels: they differ" in diff_text(found)


def test_one_weight_is_found_in_its_layer(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(with_a_changed_weight(tiny.tflite("float32")))
    found = diff(tiny.path("float32"), path)
    different = [one for one in found.model.layers if not one.same]
    assert not found.same_model and len(different) == 1 and different[0].op == "FULLY_CONNECTED"
    assert different[0].max_abs == pytest.approx(0.5, rel=1e-5) and not found.model.operators
    assert found.answers.max_abs and "1 of 2 layers differ" in diff_text(found)


def test_another_variant_with_accuracy_and_speed(tmp_path: Path) -> None:
    images = tiny.folder(tmp_path / "images", 30)
    found = diff(tiny.path("float32"), tiny.path("int8"), data=images, preprocess="raw", bench=False)
    assert found.model.operators["CONV_2D float32"] == (1, 0) and found.model.operators["CONV_2D int8"] == (0, 1)
    assert all(one.dtypes == ("float32", "int8") and one.sqnr_db and one.sqnr_db > 30 for one in found.model.layers)
    assert found.accuracy is not None and found.accuracy["agreement"]["value"] == 1.0
    text = diff_text(found)
    assert "top1: 100.0% -> 100.0%" in text and "CONV_2D int8: 0 -> 1" in text


def test_files_that_cannot_be_fed_the_same_are_not_compared_by_their_answers(tmp_path: Path) -> None:
    from tests.described import array_model

    (tmp_path / "arrays.tflite").write_bytes(array_model())
    found = diff(tiny.path("float32"), tmp_path / "arrays.tflite")
    assert found.answers.refused and found.answers.max_abs is None and "not compared" in diff_text(found)


def test_fields_that_one_side_lacks() -> None:
    assert changed({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": [1]}) == {"a.c": (2, None), "d": (None, [1])}
