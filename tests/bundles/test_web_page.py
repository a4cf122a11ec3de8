"""The web bundle's page in a real browser, served from this machine: scores, self-check, camera, and what it asks for.

LiteRT.js has to be installed: npm install in `.ci/run`, or `edgekit runtime add browser`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.bundles import litertjs
from edgekit.bundles.bundle import bundle
from edgekit.data.images import decode, normalize, resize
from edgekit.errors import BadInput
from edgekit.exporting.set_metadata import Changes, set_metadata
from edgekit.preprocess import preset
from edgekit.runtime.interpreter import open_model
from tests import tiny
from tests.bundles.chromium import BROWSER, Page, page, served
from tests.bundles.conftest import LABELS

SHOTS = os.environ.get("EDGEKIT_SCREENSHOTS")  # a folder, to look at the page


def _installed() -> bool:
    try:
        return bool(litertjs.copied(None))
    except BadInput:
        return False


pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here"),
    pytest.mark.skipif(not _installed(), reason="LiteRT.js is not installed here"),
]


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture with an EXIF orientation and transparency of its own size."""
    held = np.repeat(np.repeat(tiny.pictures(3)[2], 9, axis=0), 7, axis=1)
    file = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(held).save(file, exif=exif)
    return file


@pytest.mark.parametrize(("kind", "apart"), [("fixed", 1e-5), ("fixed_uint8_io", 0.0)])
def test_the_page_says_what_python_says(
    classifiers: dict[str, Path], tab: Page, photo: Path, tmp_path: Path, kind: str, apart: float
) -> None:
    made = bundle(classifiers[kind], "web", tmp_path / "page")
    tab.requests.clear()
    tab.complaints.clear()
    with served(Path(made.folder)) as address:
        tab.show_as(1100, 900)
        tab.open(address)
        assert tab.wait_for("document.documentElement.dataset.selfCheck") == "passed"
        tab.choose("#file", photo)
        shown = _shown(tab)
        _look(tab, kind)
        tab.value("document.getElementById('switch').click()")
        tab.wait_for("!document.getElementById('camera').hidden")
        before = tab.value("document.getElementById('latency').textContent")
        tab.wait_for(f"document.getElementById('latency').textContent !== {json.dumps(before)}")
        tab.value("document.getElementById('switch').click()")
    scores = _scores(classifiers[kind], photo)
    order = [int(one) for one in np.argsort(-scores, kind="stable")[:5]]
    assert [index for index, _, _ in shown] == order
    assert np.abs(np.array([score for _, score, _ in shown]) - scores[order]).max() <= apart
    assert [label for _, _, label in shown] == [LABELS[one].replace("\u202e", "\\u202e") for one in order]
    assert tab.complaints == []
    outside = [one for one in tab.requests if not one.startswith((address, "blob:", "data:"))]
    assert outside == [] and f"{address}model.tflite" in tab.requests


def _shown(tab: Page) -> list[tuple[int, float, str]]:
    tab.wait_for("!!document.querySelector('#results li[data-score]')")
    rows = "[...document.querySelectorAll('#results li')]"
    return [
        (int(index), float(score), label)
        for index, score, label in tab.value(
            f"{rows}.map(row => [row.dataset.index, row.dataset.score, row.querySelector('span').textContent])"
        )
    ]


def _scores(file: Path, photo: Path) -> np.ndarray:
    raw = preset("raw", tiny.SIZE, tiny.SIZE)
    return open_model(file.read_bytes()).run(normalize(resize(decode(photo), raw), raw)[None])[0][0]


def _look(tab: Page, kind: str) -> None:
    """Nothing is wider than a phone; screenshots are kept where they are asked for."""
    for name, width, height, scheme in (
        ("wide", 1100, 900, "light"),
        ("dark", 1100, 900, "dark"),
        ("phone", 390, 844, "dark"),
    ):
        tab.show_as(width, height, scheme)
        assert tab.value("document.documentElement.scrollWidth") <= width
        if SHOTS:
            (Path(SHOTS) / f"{kind}-{name}.png").write_bytes(tab.screenshot())


def test_a_model_that_was_changed_fails_its_check(classifiers: dict[str, Path], tab: Page, tmp_path: Path) -> None:
    folder = Path(bundle(classifiers["fixed"], "web", tmp_path / "page").folder)
    about = json.loads((folder / "model.json").read_text())
    about["preprocessing"]["channels"] = "bgr"
    (folder / "model.json").write_text(json.dumps(about))
    with served(folder) as address:
        tab.open(address)
        assert tab.wait_for("document.documentElement.dataset.selfCheck") == "failed"
        assert tab.value("document.getElementById('status').textContent") == "Self-check failed"
        assert "differ" in tab.value("document.getElementById('checks').textContent")


def test_without_golden_vectors_nothing_is_checked(classifiers: dict[str, Path], tab: Page, tmp_path: Path) -> None:
    bare = set_metadata(classifiers["fixed"], Changes(golden=False), tmp_path / "bare.tflite")
    with served(Path(bundle(bare, "web", tmp_path / "page").folder)) as address:
        tab.open(address)
        said = tab.wait_for("document.documentElement.dataset.selfCheck")
        assert said == "not checked: the model came without golden vectors"
        assert tab.value("document.getElementById('status').textContent") == "Not checked"


def test_what_is_no_picture_is_said(classifiers: dict[str, Path], tab: Page, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.png"
    wrong.write_bytes(b"no picture")
    with served(Path(bundle(classifiers["fixed"], "web", tmp_path / "page").folder)) as address:
        tab.open(address)
        tab.wait_for("document.documentElement.dataset.selfCheck")
        tab.choose("#file", wrong)
        said = tab.wait_for("document.getElementById('problem').textContent")
        assert said == "notes.png cannot be read as a picture. Choose a PNG, JPEG or WebP file."
