"""A classifier of 8 x 8 pictures with metadata, labels and golden vectors, in the kinds that a bundle may ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.exporting.set_metadata import Changes, set_metadata
from tests import tiny

# Labels are data in every language: quotes, escapes, templates, interpolation, markup, trigraphs, another script.
LABELS = (
    '"quoted" \\ $name ${1+1}',
    "\\(1 + 1) %s ??/",
    "<img src=x onerror=alert(1)>",
    "Zürich 北京 🚲",
    "a\u202eb",
    "5",
)


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of `tests.tiny`, with raw pixels as input. float32 has an open batch."""
    folder = tmp_path_factory.mktemp("classifiers")
    texts = {"name": 'tiny "$x" <b>', "license": "CC0-1.0"}
    changes = Changes(texts=texts, labels=LABELS, preprocess="raw", output_meaning="probabilities")
    return {
        kind: set_metadata(tiny.path(kind), changes, folder / f"{kind}.tflite")
        for kind in ("float32", "fixed", "fixed_uint8_io", "fixed_int8_io")
    }
