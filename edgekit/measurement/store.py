"""Every measurement kept: one JSON file each in a folder, read back as a DataFrame; counts of instructions in a folder
of their own in it."""

from __future__ import annotations

import json
import os
import re
import secrets
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgekit.artifact import write_text
from edgekit.errors import BadInput, EdgekitWarning, MissingExtra, UsageError
from edgekit.measurement.emulated.record import InstructionCount, read_count
from edgekit.measurement.record import Measurement, read_measurement

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 256 * 1024 * 1024  # bytes; a larger file is not read
EXPORTS = (".csv", ".parquet")
COUNTS = "instructions"  # the folder in the store

Kept = TypeVar("Kept", Measurement, InstructionCount)


def default_store() -> Path:
    """$EDGEKIT_MEASUREMENTS, else edgekit/measurements in the user's data folder (XDG Base Directory)."""
    if chosen := os.environ.get("EDGEKIT_MEASUREMENTS"):
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "edgekit" / "measurements"


def keep(measured: Measurement | InstructionCount, store: Path | None = None) -> Path:
    """Writes it into the store as a file of its own, whole or not at all -> its path. Raises OSError."""
    when = re.sub(r"[^0-9T]", "", measured.measured.partition("+")[0]) or "undated"
    name = re.sub(r"[^\w.-]", "_", Path(measured.file).stem)[:80]
    folder = (store or default_store()) / (COUNTS if isinstance(measured, InstructionCount) else "")
    path = folder / f"{when}-{name}-{measured.sha256[:8]}-{secrets.token_hex(4)}.json"
    write_text(path, json.dumps(measured.to_json(), allow_nan=False) + "\n")
    return path


def stored(store: Path | None = None) -> tuple[Measurement, ...]:
    """The measurements of the store, oldest first. What is none is skipped with an EdgekitWarning that names it."""
    return _all_of(store or default_store(), read_measurement)


def stored_counts(store: Path | None = None) -> tuple[InstructionCount, ...]:
    """The counts of instructions, likewise."""
    return _all_of((store or default_store()) / COUNTS, read_count)


def _all_of(folder: Path, read: Callable[[object, str], Kept]) -> tuple[Kept, ...]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(_read(path, read))
        except BadInput as error:
            warnings.warn(f"{error.fact} It is skipped.", EdgekitWarning, stacklevel=3)
    return tuple(sorted(found, key=lambda one: one.measured))


def measurements(store: Path | None = None) -> pd.DataFrame:
    """The store as a table, one row a measurement, oldest first: see `frame`."""
    return frame(stored(store))


def frame(found: Sequence[Measurement]) -> pd.DataFrame:
    """One row a measurement; columns as in the JSON, with what is inside `latency_ms` and `conditions` pulled out."""
    import pandas as pd

    rows = [_row(one.summary()) for one in found]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else list(COLUMNS))


def newest(found: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """The last one of each file, machine and setting."""
    last = {(one.file, one.row, one.conditions["cpu"], one.conditions["runtime"]): one for one in found}
    return tuple(last.values())


def table(found: Sequence[Measurement]) -> pd.DataFrame:
    """Median milliseconds: a row a file, a column a device, thread count and setting; empty where not measured."""
    rows = frame(newest(found))
    rows["name"] = [Path(file).name for file in rows["file"]]
    rows["model"] = [sha256[:8] for sha256 in rows["sha256"]]
    where = ["name", "model"], ["cpu", "device", "runtime", "threads", "batch", "xnnpack"]
    return rows.pivot_table(index=where[0], columns=where[1], values="median_ms", aggfunc="last")


def count_frame(found: Sequence[InstructionCount]) -> pd.DataFrame:
    """One row a count, oldest first, with the fields of COUNT_COLUMNS."""
    import pandas as pd

    rows = [{**one.summary(), **one.summary()["outputs"], **one.conditions} for one in found]
    return pd.DataFrame([{name: row.get(name) for name in COUNT_COLUMNS} for row in rows], columns=list(COUNT_COLUMNS))


def count_table(found: Sequence[InstructionCount]) -> pd.DataFrame:
    """Instructions: a row a file, a column a device and setting; the newest of each."""
    rows = count_frame(found)
    rows["name"] = [Path(file).name for file in rows["file"]]
    rows["model"] = [sha256[:8] for sha256 in rows["sha256"]]
    where = ["name", "model"], ["device", "runtime", "batch", "xnnpack"]
    return rows.pivot_table(index=where[0], columns=where[1], values="instructions", aggfunc="last")


def export(rows: pd.DataFrame, path: Path) -> None:
    """Writes a CSV or Parquet file by its ending. Raises UsageError for another one, MissingExtra without pyarrow."""
    if path.suffix not in EXPORTS:
        raise UsageError(f"{path} ends in neither {' nor '.join(EXPORTS)}.", "Name a .csv or a .parquet file.")
    if path.suffix == ".csv":
        write_text(path, rows.to_csv(index=False, lineterminator="\n"))
        return
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise MissingExtra("A Parquet file", "report") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path, index=False)


FIGURES = ("median", "p90", "p99", "mean", "n", "iqr", "minimum", "outliers", "drift")
WHERE = ("cpu", "cores", "machine", "system", "runtime", "governor", "load", "mhz", "celsius")
PLAIN = (
    *("measured", "file", "sha256", "device", "threads", "batch", "xnnpack", "verdict", "images_per_second", "init_ms"),
    *("first_ms", "size_bytes", "gzip_bytes", "heap_bytes", "peak_bytes"),
)
UNITLESS = ("n", "outliers", "drift")
COUNT_COLUMNS = (
    *("measured", "file", "sha256", "device", "core", "batch", "xnnpack", "instructions", "spread", "n", "size_bytes"),
    *("differing", "values", "max_relative", "runtime", "qemu"),
)
COLUMNS = (
    *PLAIN, *(name if name in UNITLESS else f"{name}_ms" for name in FIGURES), "low_ms", "high_ms", "doubts", *WHERE,
    "delegate",
)  # fmt: skip


def _row(summary: dict[str, Any]) -> dict[str, Any]:
    latency, conditions = summary["latency_ms"], summary["conditions"]
    return {
        **{name: summary[name] for name in PLAIN},
        **{name if name in UNITLESS else f"{name}_ms": latency[name] for name in FIGURES},
        "low_ms": latency["ci95"][0],
        "high_ms": latency["ci95"][1],
        "doubts": "; ".join(summary["doubts"]),
        **{name: conditions.get(name) for name in WHERE},
        "delegate": (conditions["delegate"] or {}).get("name"),
    }


def _read(path: Path, read: Callable[[object, str], Kept]) -> Kept:
    """Raises BadInput for whatever is no measurement."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} is larger than {LARGEST >> 20} MiB.", "Remove it.")
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no measurement: {type(error).__name__}.", "Remove it.") from None
    return read(document, str(path))
