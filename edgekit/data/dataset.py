"""A Dataset: train, val, test and calibration splits that never overlap, with one Preprocess value for them all."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.data.calibration import choose
from edgekit.data.divide import divide
from edgekit.data.folder import HELD_OUT, read_folder
from edgekit.data.npz import read_npz
from edgekit.data.sources import BUILT_IN, Source
from edgekit.data.split import Damaged, Split
from edgekit.errors import BadInput, EdgekitError, EdgekitWarning, unknown
from edgekit.preprocess import Preprocess
from edgekit.progress import Reporter, silent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Damaged", "Dataset", "Split", "load_data", "load_images"]

UNBALANCED = 3.0  # warn when the largest class of train has more than this many times the images of the smallest
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """train, val and test are disjoint by decoded pixels; calibration is a part of train.

    sha256: of the contents (class names, and each image's pixels, label and split), not of file names or order.
    notes: origin and licence, where they are known.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    calibration: Split
    preprocess: Preprocess
    sha256: str
    damaged: tuple[Damaged, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def class_counts(self) -> pd.DataFrame:
        """Images of each class (rows, in class order) in train, val and test (columns)."""
        import pandas as pd

        columns = {s: np.bincount(getattr(self, s).labels, minlength=len(self.class_names)) for s in SPLITS}
        return pd.DataFrame(columns, index=pd.Index(self.class_names, name="class"))


def load_data(
    source: str | Path = "digits",
    *,
    preprocess: Preprocess,
    calibration_images: int = 100,
    seed: int = 0,
    progress: Reporter = silent,
) -> Dataset:
    """A data set by name (digits, cifar10, cifar100, mnist, fashion_mnist), from a folder or from a .npz file.

    Splits that are missing are made from the pixels' hashes (see `divide`), the same for every seed.
    `calibration_images` are taken from train, evenly over the classes; another `seed` draws others.
    A name wins over a folder of that name: write ./digits for the folder. Raises BadInput, MissingExtra.
    """
    found = _read(source, preprocess, progress)
    if "train" not in found.parts and "all" not in found.parts:
        raise BadInput(f"{source} has no training images.", "Add x_train and y_train.")
    splits = divide(found.parts)
    _check(found, splits)
    _report_balance(splits["train"])
    return Dataset(
        name=found.name,
        class_names=found.class_names,
        **splits,
        calibration=choose(splits["train"], calibration_images, seed),
        preprocess=preprocess,
        sha256=_digest(found.class_names, splits),
        damaged=found.damaged,
        notes=found.notes,
    )


def load_images(
    path: str | Path,
    preprocess: Preprocess,
    class_names: tuple[str, ...] | None = None,
    trained_on: str | None = None,
    progress: Reporter = silent,
) -> Split:
    """Labelled images to evaluate a file on: the test part, else val, else all of them.

    A named set gives its test split. `trained_on` is the `Dataset.sha256` of what the file was made from: where it is
    this very data, the test split made of it then is taken and not the images it was trained on. `class_names` are
    the model's, in the order of its outputs: labels are mapped to them by name, and a class the model does not know is
    BadInput. Without them the data's own names count.
    """
    if isinstance(path, str) and path in BUILT_IN:
        found = BUILT_IN[path](preprocess)
        split = divide(found.parts)["test"]
    else:
        found = _read(path, preprocess, progress, held_out=True)
        names = [name for name in (*HELD_OUT, "all") if name in found.parts]
        if not names:
            raise BadInput(f"{path} has no test images.", "Add x_test and y_test, or give x and y.")
        split = found.parts[names[0]]
        if names[0] == "all" and trained_on is not None:
            splits = divide(found.parts)
            split = splits["test"] if _digest(found.class_names, splits) == trained_on else split
    return split if class_names is None else _renamed(split, class_names, str(path), found.counted)


def _read(source: str | Path, preprocess: Preprocess, progress: Reporter, *, held_out: bool = False) -> Source:
    if isinstance(source, str) and source in BUILT_IN:
        return BUILT_IN[source](preprocess)
    path = Path(source).expanduser()
    if path.is_dir() and str(source):
        return read_folder(path, preprocess, progress, held_out=held_out)
    if path.suffix.lower() == ".npz" and path.exists():
        return read_npz(path, preprocess)
    raise _no_source(source, path)


def _no_source(source: str | Path, path: Path) -> EdgekitError:
    if str(source) and path.exists():
        return BadInput(f"{path} is neither a folder nor a .npz file.", "Give a folder of class folders.")
    looks_like_path = isinstance(source, Path) or os.sep in source or path.suffix or source[:1] in (".", "~", "")
    if looks_like_path:
        known = ", ".join(BUILT_IN)
        return BadInput(f"There is no folder or file {str(source)!r}.", f"Check the path, or use one of: {known}.")
    return unknown("data set, or folder,", str(source), BUILT_IN)


def _check(source: Source, splits: dict[str, Split]) -> None:
    """Raises BadInput unless there are two classes, every split has images and every class some to train on."""
    if len(source.class_names) < 2:
        fact = f"{source.name} has one class only ({source.class_names[0]!r})."
        raise BadInput(fact, "A classifier needs at least two classes, each in a folder (or label) of its own.")
    empty = [name for name, split in splits.items() if len(split) == 0]
    if empty:
        different = len(np.unique(np.concatenate([s.hashes for s in splits.values()])))
        fact = f"{source.name} has {different} different images, which leaves none for {' and '.join(empty)}."
        raise BadInput(fact, "Add images, each to one split only.")
    counts = np.bincount(splits["train"].labels, minlength=len(source.class_names))
    missing = [repr(source.class_names[i]) for i in np.flatnonzero(counts == 0)[:5]]
    if missing:
        fact = f"{source.name} has no image to train on for {', '.join(missing)}."
        raise BadInput(fact, "Add readable images of every class (ten or more), or take the class out.")


def _report_balance(train: Split) -> None:
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    small, large = int(counts.argmin()), int(counts.argmax())
    if counts[large] > UNBALANCED * counts[small]:
        names = train.class_names
        sentence = (
            f"The classes are unbalanced: {names[large]!r} has {counts[large]:,} images to train on and "
            f"{names[small]!r} {counts[small]:,}; consider class weights."
        )
        warnings.warn(sentence, EdgekitWarning, stacklevel=3)


def _digest(class_names: tuple[str, ...], splits: dict[str, Split]) -> str:
    lines = sorted(
        f"{pixels.decode()} {label} {name}"
        for name, split in splits.items()
        for pixels, label in zip(split.hashes.tolist(), split.labels.tolist(), strict=True)
    )
    return hashlib.sha256("\n".join([json.dumps(class_names), *lines]).encode()).hexdigest()


def _renamed(split: Split, class_names: tuple[str, ...], where: str, counted: bool) -> Split:
    """The split with its labels in the model's order. Raises BadInput for classes the model does not have."""
    known = {name: i for i, name in enumerate(class_names)}
    if counted:  # a .npz without names: its numbers are the model's outputs
        known = {str(i): i for i in range(len(class_names))}
    strange = [name for name in split.class_names if name not in known]
    if strange:
        shown = ", ".join(repr(n) for n in strange[:5]) + (" ..." if len(strange) > 5 else "")
        fact = f"{where} has classes the model does not know: {shown}."
        model = ", ".join(class_names[:10]) + (" ..." if len(class_names) > 10 else "")
        raise BadInput(fact, f"The model's {len(class_names)} classes are: {model}.")
    order = np.array([known[name] for name in split.class_names], dtype=np.int64)
    return replace(split, class_names=tuple(class_names), labels=order[split.labels])
