"""Where labelled images come from: the built-in data sets by name. Folders are in folder.py, arrays in npz.py.

A source gives parts (splits as they are published or laid out); `divide` makes the ones that are missing.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgekit.data.pixels import Arrays, hash_arrays
from edgekit.data.split import Damaged, Split
from edgekit.errors import BadInput, MissingExtra
from edgekit.preprocess import Preprocess


@dataclass(frozen=True)
class Source:
    """Labelled images before missing splits are made.

    parts: "train", "val", "test", those that are given; or just "all". counted: the class names only number the
    labels. notes: origin and licence, where they are known.
    """

    name: str
    class_names: tuple[str, ...]
    parts: Mapping[str, Split]
    damaged: tuple[Damaged, ...] = ()
    counted: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


DIGITS_NOTES = {
    "origin": "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), UCI Machine Learning "
    "Repository, doi:10.24432/C50P49; its test set, as scikit-learn's load_digits() gives it",
    "licence": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), as stated by the UCI Machine Learning "
    "Repository; scikit-learn names no licence of its own for the data",
    "changes": "values 0..16 scaled to 0..255 with rounding, stored as 8-bit images of 8x8 pixels",
}


def digits(preprocess: Preprocess) -> Source:
    """scikit-learn's 1,797 handwritten digits, 8x8 grayscale, 0..16 scaled to 0..255. Raises MissingExtra."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as caught:
        raise MissingExtra("The digits data set", "train") from caught
    bunch = load_digits()
    images = ((bunch.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
    names = tuple(str(i) for i in range(10))
    whole = _in_memory("all", "digits", names, images, bunch.target, preprocess)
    return Source("digits", names, {"all": whole}, notes=DIGITS_NOTES)


def _in_memory(
    part: str,
    source: str,
    class_names: tuple[str, ...],
    images: np.ndarray,
    labels: np.ndarray,
    preprocess: Preprocess,
) -> Split:
    """A Split over uint8 [n, h, w] or [n, h, w, 3] in memory; its names are "digits/0123" or "cifar10/train/00123"."""
    prefix = source if part == "all" else f"{source}/{part}"
    digits_needed = max(4, len(str(len(images))))
    names = tuple(f"{prefix}/{i:0{digits_needed}d}" for i in range(len(images)))
    pixels = Arrays(images)
    return Split(part, class_names, labels.astype(np.int64), names, hash_arrays(pixels), pixels, preprocess)


@dataclass(frozen=True)
class Published:
    """A data set of keras.datasets: where its file is fetched from and under which name Keras looks for it."""

    url: str
    saved_as: str
    class_names: tuple[str, ...]


_COUNTED_10 = tuple("0123456789")
_FASHION_FILES = "{train-labels-idx1-ubyte,train-images-idx3-ubyte,t10k-labels-idx1-ubyte,t10k-images-idx3-ubyte}.gz"
_CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
PUBLISHED = {
    "cifar10": Published(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "cifar-10-batches-py-target_archive",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": Published(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "cifar-100-python-target_archive",
        tuple(_CIFAR100.split()),
    ),
    "mnist": Published(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz", "mnist.npz", _COUNTED_10
    ),
    "fashion_mnist": Published(
        f"https://storage.googleapis.com/tensorflow/tf-keras-datasets/{_FASHION_FILES}",
        f"fashion-mnist/{_FASHION_FILES}",
        ("t-shirt_top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle_boot"),
    ),
}


def published(name: str, preprocess: Preprocess) -> Source:
    """A data set of keras.datasets, with its own train and test parts.

    Raises MissingExtra without Keras, BadInput when it is neither in Keras' cache nor can be downloaded.
    """
    try:
        module = importlib.import_module(f"keras.datasets.{name}")
    except ImportError as caught:
        raise MissingExtra(f"The {name} data set", "train") from caught
    about = PUBLISHED[name]
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Keras prints, a library must not
            given = module.load_data()
    except MemoryError:
        raise
    except Exception as caught:  # a bare Exception is what Keras raises when offline
        raise _not_there(name, about) from caught
    parts = {
        part: _in_memory(part, name, about.class_names, images, labels.reshape(-1), preprocess)
        for part, (images, labels) in zip(("train", "test"), given, strict=True)
    }
    return Source(name, about.class_names, parts, notes={"origin": about.url})


def _not_there(name: str, about: Published) -> BadInput:
    return BadInput(
        f"The {name} data set is not on this machine and cannot be downloaded.",
        f"Fetch {about.url} and save it as ~/.keras/datasets/{about.saved_as}, or use --data digits or a folder.",
    )


BUILT_IN: dict[str, Callable[[Preprocess], Source]] = {
    "digits": digits,
    "cifar10": lambda preprocess: published("cifar10", preprocess),
    "cifar100": lambda preprocess: published("cifar100", preprocess),
    "mnist": lambda preprocess: published("mnist", preprocess),
    "fashion_mnist": lambda preprocess: published("fashion_mnist", preprocess),
}
