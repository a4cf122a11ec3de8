"""evaluation.html beside the raw results of `edgekit evaluate`: which images flipped, with their thumbnails."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import write_text
from edgekit.data.split import Split
from edgekit.errors import EdgekitWarning, MissingExtra
from edgekit.evaluation.examine import Examined
from edgekit.evaluation.keep import names_of
from edgekit.evaluation.record import Evaluation
from edgekit.gallery import gallery_of
from edgekit.report.gallery import Answer

PAGE = "evaluation.html"


def write_page(done: Examined, document: Mapping[str, Any], split: Split, folder: Path) -> Path | None:
    """The page of two files or more; None for one, which flips nothing, and, with a warning, without [report].

    `document` is `done.to_json()`; `split` the images that were evaluated, in their order. Raises BadInput for an image
    that was damaged since.
    """
    if len(done.evaluations) < 2:
        return None
    from edgekit.report.html import html_evaluated

    names = names_of(done.evaluations)
    answers = [_answers(one) for one in done.evaluations]
    galleries = [gallery_of(split, answers[0], other, name, against=names[0])
                 for name, other in zip(names[1:], answers[1:], strict=True)]  # fmt: skip
    try:
        write_text(folder / PAGE, html_evaluated(document, names, galleries))
    except MissingExtra as missing:
        warnings.warn(f"{PAGE} was not written: {missing}", EdgekitWarning, stacklevel=2)
        return None
    return folder / PAGE


def _answers(one: Evaluation) -> list[Answer]:
    said = np.array(one.class_names, dtype=object)
    columns = (one.names, said[one.labels], said[one.predictions], one.confidence.tolist())
    return [Answer(*row) for row in zip(*columns, strict=True)]
