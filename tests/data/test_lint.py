"""R27: calibration images are judged; each fault is found where it is, and alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.lint import CHECKS, Finding, lint
from edgekit.errors import BadInput, CheckFailed

Maker = Callable[..., Path]
SHIPPED = Path(__file__).parents[2] / "calibration_data" / "digits"
CLEAR = Finding("overlap", "ok", "not checked: no test images were given (--data)")


def by_check(folder: Path, data: object = None) -> dict[str, Finding]:
    return {finding.check: finding for finding in lint(folder, data).findings}


def faults(folder: Path, data: object = None) -> dict[str, str]:
    return {f.check: f.severity for f in lint(folder, data).findings if f.severity != "ok"}


def test_r27_the_shipped_digits_are_fit() -> None:
    report = lint(SHIPPED, "digits")
    assert report.findings == (
        Finding("readable", "ok", "every file can be read"),
        Finding("count", "ok", "100 images, 10 or more a class"),
        Finding("balance", "ok", "10 images of every class"),
        Finding("duplicates", "ok", "all images differ"),
        Finding("constant", "ok", "no blank images"),
        Finding("range", "ok", "pixels use 0..255 of 0..255"),
        Finding("overlap", "ok", "none is among the 360 test images"),
    )
    assert report.failed is None and len(report.findings) == len(CHECKS)


def test_r27_a_good_folder_has_no_faults(pictures: Maker) -> None:
    assert faults(pictures({"a": 50, "b": 50})) == {}
    assert by_check(pictures({"train/a": 50, "train/b": 60, "val/a": 1}, root="split"))["count"].message == (
        "110 images, 50 or more a class"
    )


def test_r27_too_few(pictures: Maker) -> None:
    report = lint(pictures({"a": 50, "b": 49}))
    assert report.findings[1] == Finding("count", "error", "99 images are too few, use 100 or more")
    assert isinstance(report.failed, CheckFailed)
    assert report.failed.fact.endswith("is not fit for calibration: count.") and report.failed.exit_code == 1


def test_r27_too_few_of_a_class_and_unbalanced_only_warn(pictures: Maker) -> None:
    root = pictures({"a": 50, "b": 50, "c": 9})
    found = by_check(root)
    assert found["count"] == Finding("count", "warning", "fewer than 10 images of c (9)")
    assert found["balance"] == Finding("balance", "warning", "50 images of 'a', 9 of 'c'")
    assert lint(root).failed is None


def test_r27_duplicates(pictures: Maker) -> None:
    root = pictures({"a": 60, "b": 60})
    Image.open(root / "a" / "003.png").save(root / "a" / "same.bmp")
    assert by_check(root)["duplicates"] == Finding(
        "duplicates", "warning", "images with the same pixels as another one: 1", ("a/same.bmp",)
    )
    shutil.copy(root / "a" / "003.png", root / "b" / "z.png")
    assert by_check(root)["duplicates"] == Finding(
        "duplicates", "error", "images with the same pixels as one of another class: 1", ("b/z.png",)
    )


def test_r27_blank_and_damaged(pictures: Maker) -> None:
    root = pictures({"a": 60, "b": 60})
    Image.new("RGB", (6, 6), "gray").save(root / "a" / "blank.png")
    (root / "b" / "000.png").write_bytes(b"x")
    found = by_check(root)
    assert found["constant"] == Finding(
        "constant", "error", "images of one value only (blank pictures): 1", ("a/blank.png",)
    )
    message = "files that cannot be read: 1, first: b/000.png (not a PNG, JPEG, WebP or BMP file)"
    assert found["readable"] == Finding("readable", "error", message, ("b/000.png",))
    assert found["count"].message == "120 images, 59 or more a class"


@pytest.mark.parametrize(
    ("scale", "severity", "message"),
    [
        (255, "error", "pixels reach 1 of 255: 0..1 data saved as 8 bits? Multiply by 255"),
        (8, "warning", "pixels use only 0..31 of 0..255: saved on another scale?"),
        (3, "ok", "pixels use 0..85 of 0..255"),
    ],
)
def test_r27_the_wrong_range(pictures: Maker, scale: int, severity: str, message: str) -> None:
    root = pictures({"a": 50, "b": 50}, size=12)
    for path in root.rglob("*.png"):
        pixels = np.asarray(Image.open(path)) // scale
        pixels[0, :2] = [[0] * 3, [255 // scale] * 3]
        Image.fromarray(pixels).save(path)
    assert by_check(root)["range"] == Finding("range", severity, message)


def test_r27_overlap_with_the_test_images(pictures: Maker) -> None:
    data = pictures({"train/a": 60, "train/b": 60, "test/a": 5, "test/b": 5})
    root = pictures({"a": 60, "b": 60}, root="calibration")
    assert by_check(root)["overlap"] == CLEAR
    assert by_check(root, data)["overlap"] == Finding("overlap", "ok", "none is among the 10 test images")
    Image.open(data / "test" / "b" / "001.png").save(root / "b" / "leak.bmp")
    message = "images that are test images too, by pixels: 1; accuracy would be measured on them"
    assert by_check(root, data)["overlap"] == Finding("overlap", "error", message, ("b/leak.bmp",))


def test_a_folder_of_nothing_readable_is_judged_too(pictures: Maker) -> None:
    root = pictures({"a": 2, "b": 2})
    for path in root.rglob("*.png"):
        path.write_bytes(b"x")
    assert faults(root) == {"readable": "error", "count": "error", "range": "error"}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no folder"):
        lint(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="is empty"):
        lint(tmp_path)
