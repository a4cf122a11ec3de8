"""Samples for models that take no RGB image: a .npz with an array an input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.data.arrays import load_arrays
from edgekit.errors import BadInput, EdgekitWarning


@dataclass(frozen=True)
class Spec:
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


SPECS = (Spec("left", (4,)), Spec("codes", (2, 3), "int32"))


def write(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "samples.npz", **arrays)
    return folder / "samples.npz"


def test_the_first_calibrate_and_the_others_are_held_out(tmp_path: Path) -> None:
    left, codes = np.arange(40.0).reshape(10, 4), np.arange(60).reshape(10, 2, 3)
    data = load_arrays(write(tmp_path, codes=codes, left=left), SPECS, calibration_samples=7)
    assert [(a.shape, a.dtype.name) for a in data.calibration] == [((7, 4), "float32"), ((7, 2, 3), "int32")]
    assert data.held_out[0].tolist() == left[7:].tolist() and data.held_out[1].tolist() == codes[7:].tolist()
    assert (data.name, data.class_names) == ("samples", ())


def test_the_name_of_a_single_input_does_not_matter(tmp_path: Path) -> None:
    data = load_arrays(write(tmp_path, x=np.ones((3, 4))), SPECS[:1], calibration_samples=2)
    assert len(data.calibration[0]) == 2 and len(data.held_out[0]) == 1


def test_without_more_samples_the_same_ones_verify_and_it_is_said(tmp_path: Path) -> None:
    with pytest.warns(EdgekitWarning, match="has 3 samples: all of them calibrate, and the same ones verify"):
        data = load_arrays(write(tmp_path, x=np.ones((3, 4))), SPECS[:1])
    assert data.held_out is data.calibration or data.held_out[0].tolist() == data.calibration[0].tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"left": np.ones((3, 4))}, "has no array for the input 'codes'; it has left"),
        ({"left": np.ones((3, 5)), "codes": np.ones((3, 2, 3))}, r"samples of 'left' are \[5\], the model takes \[4\]"),
        ({"left": np.ones((3, 4)), "codes": np.ones((2, 2, 3))}, r"have \[2, 3\] samples"),
        ({"left": np.ones((0, 4)), "codes": np.ones((0, 2, 3))}, r"have \[0\] samples"),
        ({"left": np.full((3, 4), np.nan), "codes": np.ones((3, 2, 3))}, "'left' has values that are not finite"),
        ({"left": np.full((3, 4), "a"), "codes": np.ones((3, 2, 3))}, "'left' holds <U1, no numbers"),
        ({"left": np.array([{}, {}]), "codes": np.ones((3, 2, 3))}, "cannot be read: Object arrays cannot be loaded"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_arrays(write(tmp_path, **arrays), SPECS)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.npz").write_bytes(b"PK\3\4 and no more")
    for name, message in (("absent.npz", "is not a .npz file"), ("damaged.npz", "cannot be read")):
        with pytest.raises(BadInput, match=message):
            load_arrays(tmp_path / name, SPECS)
