"""Evaluations as a folder: the figures in evaluation.json, and the raw results that they are derived from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgekit.artifact import whole_file, write_json, write_text
from edgekit.errors import BadInput, MissingExtra, UsageError
from edgekit.evaluation.record import Evaluation

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "parquet")
Format = Literal["csv", "parquet"]
DOCUMENT = "evaluation.json"
ROWS = 10_000  # of a Parquet file that are written at a time


def require_format(wanted: str) -> None:
    """Before any work. Raises UsageError for another format, MissingExtra where it needs one."""
    if wanted not in FORMATS:
        raise UsageError(f"There is no format {wanted!r}.", f"Known: {', '.join(FORMATS)}.")
    if wanted == "parquet":
        _pyarrow()


def keep(
    evaluations: Sequence[Evaluation], document: Mapping[str, Any], folder: Path, wanted: Format = "csv"
) -> tuple[Path, ...]:
    """Writes evaluation.json (`document`, with the files' names added as `rows` and `scores`) and one image a row.

    `csv`: NAME.csv (Evaluation.to_frame) and NAME.scores.npy, float32 [n, classes]. `parquet`: NAME.parquet, the same
    rows with the scores as a list.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries, written = [], []
    for one, entry, name in zip(evaluations, document["files"], names_of(evaluations), strict=True):
        paths = _parquet(one, folder / f"{name}.parquet") if wanted == "parquet" else _csv(one, folder / name)
        entries.append({**entry, "rows": paths[0].name, "scores": paths[-1].name})
        written += paths
    write_json(folder / DOCUMENT, {**document, "files": entries})
    return (folder / DOCUMENT, *written)


def read_rows(path: Path) -> pd.DataFrame:
    """The label and the prediction of each image, as text, in the order of the images: of NAME.csv or NAME.parquet, or
    the evaluation_VARIANT.csv of a run. Raises BadInput, MissingExtra."""
    import pandas as pd

    columns = ["name", "label", "prediction"]
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, columns=columns).astype(str)
        # A class may be called 007 or NA: nothing is to be taken for a number or for missing.
        return pd.read_csv(path, usecols=columns, dtype=str, keep_default_na=False)
    except ImportError:
        raise MissingExtra(f"Reading {path}", "report") from None
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"The raw results {path} cannot be read: {error}.", "Evaluate again with --out.") from None


def names_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """The files' stems; a number behind one that is there already."""
    found: list[str] = []
    for one in evaluations:
        stem, number = Path(one.file).stem, 2
        name = stem
        while name in found:
            name, number = f"{stem}-{number}", number + 1
        found.append(name)
    return found


def _csv(one: Evaluation, stem: Path) -> list[Path]:
    rows, scores = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.scores.npy")
    write_text(rows, one.to_frame().to_csv(index=False, lineterminator="\n"))
    with whole_file(scores) as file:
        np.save(file, one.scores)
    return [rows, scores]


def _parquet(one: Evaluation, path: Path) -> list[Path]:
    arrow, parquet = _pyarrow()
    frame = one.to_frame()
    with whole_file(path) as file:
        writer = None
        for start in range(0, one.n, ROWS):
            table = arrow.Table.from_pandas(frame.iloc[start : start + ROWS], preserve_index=False)
            scores = arrow.array(list(one.scores[start : start + ROWS]), arrow.list_(arrow.float32()))
            table = table.append_column("scores", scores)
            writer = writer or parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer:
            writer.close()
    return [path]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("Writing Parquet", "report") from None
    return pyarrow, pyarrow.parquet
