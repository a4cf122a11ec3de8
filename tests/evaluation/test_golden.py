"""Golden vectors: the file itself passes, and what prepares pictures otherwise does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.artifact import sha256_of
from edgekit.data.images import decode
from edgekit.errors import BadInput
from edgekit.evaluation.golden import checked, drawn_picture, fed, make_golden, pixels
from edgekit.preprocess import preset
from edgekit.runtime.embedded import embedded_of, golden_vectors
from edgekit.runtime.interpreter import open_model
from tests.described import array_model, described, picture_model
from tests.runtime.one_op import one_op


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_file_passes_and_another_preprocessing_does_not(dtype: str, tmp_path: Path) -> None:
    right = preset("lite", 8, 8)
    path = described(tmp_path, picture_model(dtype), preprocess=right.model_dump())
    content = path.read_bytes()
    found, model = embedded_of(content, "m"), open_model(content)
    assert found.contract is not None and found.contract.golden is not None
    vectors, tolerance = golden_vectors(found, "m"), found.contract.golden.tolerance
    assert [decode(one.picture or b"").shape for one in vectors] == [(8, 8, 3), (13, 15, 3), (6, 4, 3)]
    for one in vectors:
        assert checked(model.run(*fed(one, right)), one, tolerance).within
        assert sha256_of(pixels(one.picture or b"", right).tobytes()) == one.pixels_sha256
    others = {"channels": "bgr", "crop": "none", "resize": "nearest", "antialias": False, "mean": (0, 0, 0)}
    for name, value in others.items():
        wrong = right.model_copy(update={name: value})
        results = [checked(model.run(*fed(one, wrong)), one, tolerance).within for one in vectors]
        assert not all(results), name


def test_no_picture_is_the_users_and_the_same_is_drawn_every_time() -> None:
    assert drawn_picture(20, 30, 1) == drawn_picture(20, 30, 1) != drawn_picture(20, 30, 2)
    large = drawn_picture(358, 426, 3)
    assert decode(large).shape == (358, 426, 3) and len(large) < 6000


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_what_takes_no_pictures_has_arrays(dtype: str) -> None:
    content = array_model(dtype)
    golden, files = make_golden(content, None)
    assert [one.dtype for one in golden.vectors[0].inputs] == [dtype] * 2
    assert max(len(held) for name, held in files.items() if "input" in name) == 1021 * np.dtype(dtype).itemsize


def test_outputs_that_half_precision_would_lose_are_kept_in_single() -> None:
    tiny = one_op("MUL", inputs=((1, 4),), constants={1: np.full((1, 4), 1e-7, np.float32)}, output=(1, 4))
    plain = one_op("RELU", inputs=((1, 4),), output=(1, 4))
    kinds = [make_golden(content, None)[0].vectors[0].outputs[0].dtype for content in (tiny, plain)]
    assert kinds == ["float32", "float16"]


def test_outputs_that_are_not_finite_make_no_vector() -> None:
    with pytest.raises(BadInput, match="not all finite"):
        make_golden(one_op("LOG", inputs=((1, 4),), output=(1, 4)), None)


def test_nan_and_another_shape_are_no_agreement(tmp_path: Path) -> None:
    found = embedded_of(described(tmp_path).read_bytes(), "m")
    one = golden_vectors(found, "m")[0]
    assert not checked([np.full_like(one.outputs[0], np.nan)], one, (1e9,)).within
    assert not checked([one.outputs[0][0]], one, (1e9,)).within
    assert checked([one.outputs[0]], one, (1e-6,)).within
