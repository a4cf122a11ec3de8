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
from edgekit.data.classes import Classes
from edgekit.data.divide import divide
from edgekit.data.folder import HELD_OUT, read_flat, read_folder
from edgekit.data.npz import read_npz
from edgekit.data.sources import BUILT_IN, Source
from edgekit.data.split import Damaged, Split
from edgekit.errors import BadInput, EdgekitError, EdgekitWarning, UsageError, unknown
from edgekit.preprocess import Preprocess
from edgekit.progress import Reporter, silent

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Damaged", "Dataset", "Split", "load_data", "load_images"]

UNBALANCED = 3.0  # warn when the largest class of train has more than this many times the images of the smallest
SPLITS = ("train", "val", "test")
Pool = tuple[Split, tuple[Damaged, ...]]  # the images of a folder to calibrate with, and what of it cannot be read


@dataclass(frozen=True, eq=False)
class Dataset:
    """train, val and test are disjoint by decoded pixels; calibration is a part of train, or of a folder of its own.

    Where nothing is trained, train is the calibration images, and val may be test: nothing is selected on it then.
    class_names: empty for images without labels. sha256: of the contents (class names, and each image's pixels, label
    and split), not of file names or order. notes: origin and licence, where they are known.
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

    @property
    def calibration_sha256(self) -> str:
        """Of the pixels of the calibration images, whatever their order."""
        return hashlib.sha256(b"".join(sorted(self.calibration.hashes.tolist()))).hexdigest()

    def class_counts(self) -> pd.DataFrame:
        """Images of each class (rows, in class order) in train, val and test (columns)."""
        import pandas as pd

        classes = len(self.class_names)
        columns = {s: np.bincount(getattr(self, s).labels, minlength=classes)[:classes] for s in SPLITS}
        return pd.DataFrame(columns, index=pd.Index(self.class_names, name="class"))


def load_data(
    source: str | Path | None = "digits",
    *,
    preprocess: Preprocess,
    calibration_images: int = 100,
    calibration: str | Path | None = None,
    classes: Classes | None = None,
    training: bool = True,
    seed: int = 0,
    progress: Reporter = silent,
) -> Dataset:
    """A data set by name (digits, cifar10, cifar100, mnist, fashion_mnist), from a folder or from a .npz file.

    Splits that are missing are made from the pixels' hashes (see `divide`), the same for every seed.
    `calibration_images` are taken from train, evenly over the classes, or from the folder `calibration`, whose images
    need no labels; another `seed` draws others. `classes` are those of the model, where it has its own: the data may
    then have fewer, and are matched by name. Without `training` a class may lack images to train on, and with a folder
    `calibration` all images are test images, or those of test/; without a source there are no labels at all.
    A name wins over a folder of that name: write ./digits for the folder. Raises BadInput, MissingExtra, UsageError.
    """
    pool = None if calibration is None else read_flat(Path(calibration).expanduser(), preprocess, progress)
    if source is None:
        return _unlabelled(pool, calibration, calibration_images, preprocess, seed)
    found = _in_order_of(classes, _read(source, preprocess, progress, held_out=bool(pool) and not training))
    testing = None if training else pool
    splits = _to_test_only(found, testing[0], calibration_images, seed) if testing else _divided(found, source)
    _check(found, splits, training)
    if training:
        _report_balance(splits["train"])
    return Dataset(
        name=found.name,
        class_names=found.class_names,
        **splits,
        calibration=splits["train"] if testing else _calibration(splits, pool, calibration_images, seed),
        preprocess=preprocess,
        sha256=_digest(found.class_names, splits),
        damaged=(*found.damaged, *(pool[1] if pool else ())),
        notes=found.notes,
    )


def _divided(found: Source, source: str | Path) -> dict[str, Split]:
    if "train" not in found.parts and "all" not in found.parts:
        raise BadInput(f"{source} has no training images.", "Add x_train and y_train.")
    return divide(found.parts)


def _to_test_only(found: Source, pool: Split, count: int, seed: int) -> dict[str, Split]:
    """Every image tests, but those that calibrate; the rest of the calibration folder verifies."""
    used, rest = _drawn(pool, count, seed)
    test = _without(next(iter(found.parts.values())), used.hashes, "test")
    return {"train": used, "val": rest if len(rest) else test, "test": test}


def _calibration(splits: Mapping[str, Split], pool: Pool | None, count: int, seed: int) -> Split:
    if pool is None:
        return choose(splits["train"], count, seed)
    held_out = np.concatenate([splits[name].hashes for name in HELD_OUT])
    return choose(_without(pool[0], held_out, "calibration"), count, seed)


def _drawn(pool: Split, count: int, seed: int) -> tuple[Split, Split]:
    """The calibration images of a folder, and the others."""
    used = choose(pool, count, seed)
    return used, pool.take(np.flatnonzero(~np.isin(pool.hashes, used.hashes)), "val")


def _without(split: Split, hashes: np.ndarray, name: str) -> Split:
    """The split without the images that are elsewhere too, by pixels; says how many."""
    double = np.isin(split.hashes, hashes)
    if double.any():
        sentence = f"{int(double.sum()):,} of {len(split):,} images are in calibration and to be tested on: left out of"
        warnings.warn(f"{sentence} {name}.", EdgekitWarning, stacklevel=4)
    return split.take(np.flatnonzero(~double), name)


def _unlabelled(pool: Pool | None, folder: str | Path | None, count: int, preprocess: Preprocess, seed: int) -> Dataset:
    if pool is None:
        raise UsageError("There are no images.", "Give --data, or --calibration and a folder of images.")
    used, rest = _drawn(pool[0], count, seed)
    if not len(rest):
        sentence = f"{folder} has no more images than calibrate: the same ones verify."
        warnings.warn(sentence, EdgekitWarning, stacklevel=3)
        rest = used
    return Dataset(
        name=Path(str(folder)).expanduser().resolve().name,
        class_names=(),
        train=used,
        val=rest,
        test=rest,
        calibration=used,
        preprocess=preprocess,
        sha256=_digest((), {"calibration": used, "val": rest}),
        damaged=pool[1],
    )


def load_images(
    path: str | Path,
    preprocess: Preprocess,
    classes: Classes | tuple[str, ...] | None = None,
    trained_on: str | None = None,
    progress: Reporter = silent,
) -> Split:
    """Labelled images to evaluate a file on: the test part, else val, else all of them.

    A named set gives its test split. `trained_on` is the `Dataset.sha256` of what the file was made from: where it is
    this very data, the test split made of it then is taken and not the images it was trained on. `classes` are
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
    if classes is None:
        return split
    own = classes if isinstance(classes, Classes) else Classes(tuple(classes))
    return _renamed(split, own, str(path), found.counted)


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


def _check(source: Source, splits: dict[str, Split], training: bool) -> None:
    """Raises BadInput unless there are two classes, every split has images and every class some to train on."""
    if len(source.class_names) < 2:
        fact = f"{source.name} has one class only ({source.class_names[0]!r})."
        raise BadInput(fact, "A classifier needs at least two classes, each in a folder (or label) of its own.")
    empty = [name for name, split in splits.items() if len(split) == 0]
    if empty:
        different = len(np.unique(np.concatenate([s.hashes for s in splits.values()])))
        fact = f"{source.name} has {different} different images, which leaves none for {' and '.join(empty)}."
        raise BadInput(fact, "Add images, each to one split only.")
    if not training:
        return
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


def _in_order_of(classes: Classes | None, source: Source) -> Source:
    """The source with its labels in the model's order. Raises BadInput for classes the model does not have."""
    if classes is None:
        return source
    parts = {name: _renamed(split, classes, source.name, source.counted) for name, split in source.parts.items()}
    return replace(source, class_names=classes.names, parts=parts)


def _renamed(split: Split, classes: Classes, where: str, counted: bool) -> Split:
    order = classes.positions(split.class_names, where, counted=counted)
    return replace(split, class_names=classes.names, labels=order[split.labels])
