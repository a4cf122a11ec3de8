"""The networks that the quantization benchmarks compare on: trained once on the CIFAR-10 set, at 32 px.

python benchmarks/cifar_networks.py CIFAR_FOLDER --work FOLDER [--only NAME ...]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. What is trained is kept under --work: an interrupted training
goes on behind its last epoch, a finished one is read. The epochs are few: the budget is that of two CPU cores.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import write_json
from edgekit.data.dataset import Dataset, load_data
from edgekit.data.split import Split
from edgekit.models.backend import import_keras
from edgekit.models.zoo import ZOO, build
from edgekit.preprocess import preset
from edgekit.train_config import Augment, Train

SIZE = 32
SEED = 0
MOVED = Augment(flip="horizontal", shift=0.125)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; its width where it is not the usual one, images of every class where not all."""

    train: Train
    alpha: float | None = None
    images: int | None = None


RECIPES: dict[str, Recipe] = {
    "mobilenet_v3_small": Recipe(Train(epochs=4, batch_size=64, learning_rate=3e-3, weight_decay=2e-2, augment=MOVED)),
    "efficientnet_b0": Recipe(Train(epochs=2, batch_size=64, learning_rate=2e-3, weight_decay=2e-2, augment=MOVED)),
    "mobilenet_v2": Recipe(
        Train(epochs=2, batch_size=64, learning_rate=3e-3, weight_decay=2e-2, augment=MOVED), alpha=0.35, images=1500
    ),
}


@dataclass(frozen=True)
class Network:
    """A trained network on logits, its data, and how its training went (a JSON value)."""

    name: str
    model: Any
    data: Dataset
    training: dict[str, Any]


def cifar(folder: Path, name: str, calibration_images: int = 100, seed: int = SEED) -> Dataset:
    """The set as the network `name` takes it; another seed draws other calibration images."""
    prepared = preset(ZOO[name].preprocess, SIZE, SIZE)
    return load_data(folder, preprocess=prepared, calibration_images=calibration_images, seed=seed)


def trained(name: str, folder: Path, work: Path) -> Network:
    """The network, from `work` where it is there, else trained now."""
    keras = import_keras("This benchmark")
    data, kept, told = cifar(folder, name), work / f"{name}.keras", work / f"{name}.json"
    if not (kept.exists() and told.exists()):
        model, training = _train(name, data, work)
        model.save(kept)
        write_json(told, training)
    return Network(name, keras.saving.load_model(kept, compile=False), data, json.loads(told.read_text("utf-8")))


def _train(name: str, data: Dataset, work: Path) -> tuple[Any, dict[str, Any]]:
    from edgekit.training.fit import train

    recipe = RECIPES[name]
    import_keras("This benchmark").utils.set_random_seed(SEED)
    shape = (SIZE, SIZE, 3)
    if recipe.images:
        data = replace(data, train=first(data.train, recipe.images))
    model = build(name, classes=len(data.class_names), input_shape=shape, dropout=0.1, alpha=recipe.alpha)
    result = train(model, data, recipe.train, state_dir=work / name, seed=SEED, progress=_Lines(name))
    return model, {
        "train": recipe.train.model_dump(mode="json"),
        "images": len(data.train),
        "seed": SEED,
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
        "history": result.history.to_dict("records"),
    }


class _Lines:
    """A line every hundred steps."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, progress: Any) -> None:
        if progress.done % 100 == 0:
            print(self._name, progress.done, "of", progress.total, progress.note, flush=True)


def first(split: Split, count: int) -> Split:
    """The first `count` images of every class, in the split's order."""
    rows = [np.flatnonzero(split.labels == label)[:count] for label in range(len(split.class_names))]
    return split.take(np.sort(np.concatenate(rows)))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("--work", type=Path, required=True, help="where trained networks are kept")
    arguments.add_argument("--only", choices=RECIPES, nargs="+", default=tuple(RECIPES))
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    for name in given.only:
        network = trained(name, given.cifar, given.work)
        best = max(row["val_top1"] for row in network.training["history"])
        print(f"{name}: validation top-1 {best:.2%} after {network.training['seconds']:.0f} s")


if __name__ == "__main__":
    main()
