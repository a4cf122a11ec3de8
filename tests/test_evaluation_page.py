"""The page of `edgekit evaluate --out`: flips with their pictures, from the answers."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.data.dataset import load_data
from edgekit.evaluation.examine import Examined
from edgekit.evaluation_page import write_page
from edgekit.preprocess import preset
from tests.evaluation.answers import answering
from tests.report.test_html import Page, specs
from tests.report.test_trials import EVIL, layers, robustness


@pytest.fixture(scope="module")
def split():
    return load_data("digits", preprocess=preset("raw", 8, 8)).test.take(range(30))


def done(split, name="small.tflite"):
    """The second file loses images 3 and 4 and gains image 5, which the first has wrong."""
    first, second = split.labels.copy(), split.labels.copy()
    first[5], second[3], second[4] = (first[5] + 1) % 10, (second[3] + 1) % 10, (second[4] + 1) % 10
    both = ((first, "float.tflite"), (second, name))
    return Examined("digits", tuple(answering(said, split.labels, class_names=split.class_names, names=split.names,
                                              file=file) for said, file in both))  # fmt: skip


def test_flips_have_their_pictures(split, tmp_path: Path) -> None:
    found = done(split)
    path = write_page(found, found.to_json(), split, tmp_path)
    html = (tmp_path / "evaluation.html").read_text("utf-8")
    page = Page(html)
    assert path == tmp_path / "evaluation.html" and "[]" in page.texts["script"]
    shown = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    lost = [f"{split.class_names[split.labels[at]]}, taken for" for at in (3, 4)]
    assert sorted(str(alt)[: len(lost[0])] for alt in shown[:2]) == sorted(lost) and len(shown) == 3
    assert page.texts["h3"] == ["Right in float, wrong here", "Wrong in float, right here"]
    assert "1 image gained, 2 lost" in html and "Grad-CAM beside the flips needs the Keras model" in html
    assert [split.names[at] in html for at in (3, 4, 5, 6)] == [True, True, True, False]


def test_curves_and_layers_are_on_it_and_names_stay_text(split, tmp_path: Path) -> None:
    found = done(split, f"{EVIL.replace('/', '')}.tflite")
    names = {"float32": "float.tflite", "int8": found.evaluations[1].file}
    curves = robustness()
    curves = {"mean_top1": {names[file]: value for file, value in curves["mean_top1"].items()},
              "points": [{**one, "file": names[one["file"]]} for one in curves["points"]]}  # fmt: skip
    parts = [{**layers(), "reference": names["float32"], "other": names["int8"]}]
    write_page(found, {**found.to_json(), "robustness": curves, "layers": parts}, split, tmp_path)
    html = (tmp_path / "evaluation.html").read_text("utf-8")
    assert [one["name"] for one in specs(Page(html))] == ["corrupted-noise0", "layers1"]
    assert EVIL.replace("/", "") not in html and "&lt;img src=x" in html


def test_one_file_flips_nothing(split, tmp_path: Path) -> None:
    one = Examined("digits", done(split).evaluations[:1])
    assert write_page(one, one.to_json(), split, tmp_path) is None and not list(tmp_path.iterdir())


def test_the_pictures_are_of_the_images(split, tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    found = done(split)
    write_page(found, found.to_json(), split, tmp_path)
    sources = [
        attrs["src"] for tag, attrs in Page((tmp_path / "evaluation.html").read_text("utf-8")).tags if tag == "img"
    ]
    seen = [np.asarray(Image.open(io.BytesIO(base64.b64decode(str(one).split(",")[1])))) for one in sources]
    assert all(any(np.array_equal(split.pixels.image(at), one) for one in seen) for at in (3, 4, 5))
