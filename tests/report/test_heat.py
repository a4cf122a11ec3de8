import base64
import io

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import BadInput
from edgekit.gallery import thumbnail
from edgekit.report.heat import heated, png_of, where


def picture(height: int = 96, width: int = 96, value: int = 100) -> bytes:
    return thumbnail(np.full((height, width, 3), value, np.uint8))


def drawn(*given: object) -> np.ndarray:
    content = heated(*given)  # type: ignore[arg-type]
    assert content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_colour_is_where_the_map_is_high() -> None:
    shown = drawn(picture(), [[1, 0], [0, 0]])
    assert shown.shape == (96, 96, 3)
    assert shown[10, 10, 0] > shown[10, 10, 2] + 30  # yellow
    assert np.ptp(shown[90, 90]) < 8 and abs(shown[90, 90].mean() - 100) < 8  # grey as it was


def test_small_pictures_are_enlarged_and_the_crop_is_where_the_model_looked() -> None:
    assert drawn(picture(8, 8), [[1.0]]).shape == (96, 96, 3)
    shown = drawn(picture(48, 96), [[1.0]], "center")
    assert np.ptp(shown[24, 5]) < 8 and np.ptp(shown[24, 48]) > 30


@pytest.mark.parametrize(
    ("rows", "said"),
    [([[1, 0, 0]] + [[0, 0, 0]] * 2, "at the upper left"), ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], "in the middle"),
     ([[0, 0, 0.4]], "at the right"), ([[0], [0], [1]], "at the lower"), ([[0, 0]], "nowhere")],
)  # fmt: skip
def test_where_it_is_in_words(rows: list[list[float]], said: str) -> None:
    assert where(rows) == said


@pytest.mark.parametrize("rows", [[], [[2.0]], [[float("nan")]], [[0.5], [0.5, 1]], [[0.0] * 65] * 64, [["<b>"]]])
def test_a_damaged_map_is_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError):
        heated(picture(), rows)


def test_a_damaged_picture_is_refused() -> None:
    png = png_of(base64.b64encode(picture()[:60]).decode())
    with pytest.raises(BadInput):
        heated(png, [[1.0]])
