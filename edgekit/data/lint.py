"""Judges a folder of calibration images: enough of them, balanced, different, readable, on the right scale (R27)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.data.dataset import load_data
from edgekit.data.folder import Listing, find_parts, list_images
from edgekit.data.pixels import Files, Seen, look_at
from edgekit.data.split import Split
from edgekit.errors import BadInput, CheckFailed
from edgekit.preprocess import preset
from edgekit.progress import Reporter, silent

ENOUGH = 100  # images in all: fewer give activation ranges that depend on the draw
ENOUGH_PER_CLASS = 10
UNBALANCED = 3.0
NARROW = 64  # of 255: images that use less of the scale than this were probably saved wrongly
EXAMPLES = 5

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """The answer of one check; `files` are up to EXAMPLES paths relative to the folder."""

    check: str
    severity: Severity
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Inspected:
    """What the checks look at: every image file of the set with its label, pixel hash and range.

    Damaged files are in `damaged` only. hashes S64 [n], low and high int64 [n]; against: the test images, if given.
    """

    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    hashes: np.ndarray
    low: np.ndarray
    high: np.ndarray
    damaged: tuple[tuple[str, str], ...] = ()
    against: Split | None = None


@dataclass(frozen=True)
class LintReport:
    """The findings on a folder, one a check."""

    folder: Path
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> CheckFailed | None:
        """The failed check to report, when there is an error among the findings."""
        wrong = [f.check for f in self.findings if f.severity == "error"]
        if not wrong:
            return None
        fact = f"{self.folder} is not fit for calibration: {', '.join(wrong)}."
        return CheckFailed(fact, "Mend what is listed, or make a new set with: edgekit data sample")


def lint(folder: str | Path, data: str | Path | None = None, progress: Reporter = silent) -> LintReport:
    """Judges a folder of calibration images, against the test split of `data` where it is given. Raises BadInput."""
    size_is_unused = preset("raw", 1, 1)
    test = None if data is None else load_data(data, preprocess=size_is_unused, progress=progress).test
    return LintReport(Path(folder), judge(Path(folder), test, progress))


def judge(folder: Path, against: Split | None = None, progress: Reporter = silent) -> tuple[Finding, ...]:
    """One Finding a check, in the order of CHECKS. `against` is the test split that calibration must not touch.

    A folder with train/ is judged by its train part. Raises BadInput for a folder that holds no class folders.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {str(folder)!r}.", "Give the folder that holds the class folders.")
    parts = find_parts(folder)
    listing = list_images(folder, parts.get("train") or next(iter(parts.values())))
    seen = look_at(Files(folder, listing.paths), progress)
    inspected = _inspected(listing, seen, against)
    return tuple(check(inspected) for check in CHECKS)


def _inspected(listing: Listing, seen: list[Seen], against: Split | None) -> Inspected:
    good = [i for i, s in enumerate(seen) if not s.reason]
    return Inspected(
        class_names=listing.class_names,
        names=tuple(listing.paths[i] for i in good),
        labels=listing.labels[good],
        hashes=np.array([seen[i].pixel_hash for i in good], dtype="S64"),
        low=np.array([seen[i].low for i in good], dtype=np.int64),
        high=np.array([seen[i].high for i in good], dtype=np.int64),
        damaged=tuple((p, s.reason) for p, s in zip(listing.paths, seen, strict=True) if s.reason),
        against=against,
    )


def _readable(data: Inspected) -> Finding:
    if not data.damaged:
        return Finding("readable", "ok", "every file can be read")
    first, reason = data.damaged[0]
    message = f"files that cannot be read: {len(data.damaged)}, first: {first} ({reason})"
    return Finding("readable", "error", message, tuple(name for name, _ in data.damaged[:EXAMPLES]))


def _count(data: Inspected) -> Finding:
    total = len(data.names)
    counts = np.bincount(data.labels, minlength=len(data.class_names))
    if total < ENOUGH:
        return Finding("count", "error", f"{total} images are too few, use {ENOUGH} or more")
    few = [f"{n} ({c})" for n, c in zip(data.class_names, counts.tolist(), strict=True) if c < ENOUGH_PER_CLASS]
    if few:
        shown = ", ".join(few[:EXAMPLES]) + (f" and {len(few) - EXAMPLES} more" if len(few) > EXAMPLES else "")
        return Finding("count", "warning", f"fewer than {ENOUGH_PER_CLASS} images of {shown}")
    return Finding("count", "ok", f"{total:,} images, {counts.min():,} or more a class")


def _balance(data: Inspected) -> Finding:
    counts = np.bincount(data.labels, minlength=len(data.class_names))
    small, large = int(counts.argmin()), int(counts.argmax())
    if counts[small] == counts[large]:
        return Finding("balance", "ok", f"{counts[small]:,} images of every class")
    names = data.class_names
    message = f"{counts[large]:,} images of {names[large]!r}, {counts[small]:,} of {names[small]!r}"
    return Finding("balance", "warning" if counts[large] > UNBALANCED * counts[small] else "ok", message)


def _duplicates(data: Inspected) -> Finding:
    _, first, group = np.unique(data.hashes, return_index=True, return_inverse=True)
    repeats = np.flatnonzero(first[group] != np.arange(len(group)))
    conflicts = repeats[data.labels[repeats] != data.labels[first[group[repeats]]]]
    if len(conflicts):
        message = f"images with the same pixels as one of another class: {len(conflicts)}"
        return Finding("duplicates", "error", message, _examples(data, conflicts))
    if len(repeats):
        message = f"images with the same pixels as another one: {len(repeats)}"
        return Finding("duplicates", "warning", message, _examples(data, repeats))
    return Finding("duplicates", "ok", "all images differ")


def _constant(data: Inspected) -> Finding:
    flat = np.flatnonzero(data.low == data.high)
    if len(flat):
        message = f"images of one value only (blank pictures): {len(flat)}"
        return Finding("constant", "error", message, _examples(data, flat))
    return Finding("constant", "ok", "no blank images")


def _range(data: Inspected) -> Finding:
    if not len(data.names):
        return Finding("range", "error", "no pixels to judge")
    low, high = int(data.low.min()), int(data.high.max())
    if high <= 1:
        return Finding("range", "error", f"pixels reach {high} of 255: 0..1 data saved as 8 bits? Multiply by 255")
    if high - low < NARROW:
        return Finding("range", "warning", f"pixels use only {low}..{high} of 0..255: saved on another scale?")
    return Finding("range", "ok", f"pixels use {low}..{high} of 0..255")


def _overlap(data: Inspected) -> Finding:
    if data.against is None:
        return Finding("overlap", "ok", "not checked: no test images were given (--data)")
    shared = np.flatnonzero(np.isin(data.hashes, data.against.hashes))
    if len(shared):
        message = f"images that are test images too, by pixels: {len(shared)}; accuracy would be measured on them"
        return Finding("overlap", "error", message, _examples(data, shared))
    return Finding("overlap", "ok", f"none is among the {len(data.against):,} test images")


def _examples(data: Inspected, indices: np.ndarray) -> tuple[str, ...]:
    return tuple(data.names[i] for i in indices[:EXAMPLES])


CHECKS: tuple[Callable[[Inspected], Finding], ...] = (
    _readable,
    _count,
    _balance,
    _duplicates,
    _constant,
    _range,
    _overlap,
)
