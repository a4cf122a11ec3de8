"""Fine-tuning against training from scratch: EfficientNet-Lite0 on 100 images of each CIFAR-10 class, at 96 px.

python benchmarks/fine_tuning.py CIFAR_FOLDER [--size 96] [--images 100] [--test 200]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. Both trainings are of the same network on the same
images in the same number of pixels, and each has a recipe of its own: what is right for one is wrong for the other.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from record import claim, conditions, save

from edgekit.data.dataset import Dataset, load_data
from edgekit.evaluation.metrics import Proportion
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.train_config import Augment, FineTune, Train

NETWORK = "efficientnet_lite0"
HELD_OUT = 30  # images a class, of the training folder, that choose the epoch
MIRROR = Augment(flip="horizontal")
MOVED = Augment(flip="horizontal", shift=0.125, zoom=0.1)

RECIPES: dict[str, tuple[str | None, Train]] = {
    "head only": (
        "imagenet",
        Train(epochs=10, batch_size=32, learning_rate=2e-3, fine_tune=FineTune(mode="features")),
    ),
    "fine-tuned": (
        "imagenet",
        Train(
            epochs=8,
            batch_size=32,
            learning_rate=2e-3,
            label_smoothing=0.1,
            augment=MIRROR,
            fine_tune=FineTune(mode="top", layers=0.5, head_epochs=3, base_rate=0.2, layer_rate=0.5),
        ),
    ),
    "from scratch": (
        None,
        Train(
            epochs=30,
            batch_size=32,
            optimizer="sgd",
            learning_rate=0.05,
            schedule="one_cycle",
            weight_decay=1e-3,
            label_smoothing=0.1,
            augment=MOVED,
        ),
    ),
}


def choose(cifar: Path, folder: Path, images: int, test: int) -> None:
    """Copies the first images of every class: train, val (the next HELD_OUT of the training folder) and test."""
    parts = {"train": ("train", 0, images), "val": ("train", images, images + HELD_OUT), "test": ("test", 0, test)}
    for part, (source, begin, end) in parts.items():
        for classes in sorted((cifar / source).iterdir()):
            target = folder / part / classes.name
            target.mkdir(parents=True)
            for path in sorted(classes.iterdir())[begin:end]:
                shutil.copy(path, target)


def job(data: Dataset, weights: str | None, config: Train, seed: int) -> dict[str, Any]:
    """Trains and answers the test images."""
    from edgekit.training.batches import PlainBatches
    from edgekit.training.fit import train

    import_keras("This benchmark").utils.set_random_seed(seed)
    size = (data.preprocess.height, data.preprocess.width, 3)
    model = build(NETWORK, classes=len(data.class_names), input_shape=size, dropout=0.2, weights=weights)
    trained = train(model, data, config, seed=seed)
    answers = model.predict(PlainBatches(data.test, 64, len(data.class_names)), verbose=0).argmax(1)
    top1 = Proportion(int((answers == data.test.labels).sum()), len(data.test))
    return {
        "weights": weights,
        "train": config.model_dump(mode="json"),
        "top1": top1.to_json(),
        "best_epoch": trained.best_epoch,
        "seconds": trained.seconds,
        "history": trained.history.to_dict("records"),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("--size", type=int, default=96)
    arguments.add_argument("--images", type=int, default=100, help="training images of each class")
    arguments.add_argument("--test", type=int, default=200, help="test images of each class")
    arguments.add_argument("--only", choices=RECIPES, help="one of the trainings; nothing is saved then")
    given = arguments.parse_args()
    measured_under = conditions()
    with tempfile.TemporaryDirectory() as name:
        choose(given.cifar, Path(name), given.images, given.test)
        data = load_data(name, preprocess=preset("lite", given.size, given.size))
        jobs = {}
        for kind, (weights, config) in RECIPES.items():
            if given.only in (None, kind):
                jobs[kind] = job(data, weights, config, seed=0)
                print(kind, jobs[kind]["top1"], f"{jobs[kind]['seconds']:.0f} s", flush=True)
    if given.only:
        return
    top1 = {kind: 100 * one["top1"]["value"] for kind, one in jobs.items()}
    about = f"{NETWORK} at {given.size} px, {given.images} CIFAR-10 images a class, n = {len(data.test)}"
    claims = [
        claim(f"{about}: fine-tuned, points over the same net from scratch",
              top1["fine-tuned"] - top1["from scratch"], "", least=15),
        *(claim(f"{about}: top-1, {kind}", value, "%") for kind, value in top1.items()),
        claim("head alone, 10 epochs on features computed once", jobs["head only"]["seconds"], "s"),
    ]  # fmt: skip
    save("fine_tuning", claims, {"jobs": jobs, "classes": list(data.class_names)}, measured_under)


if __name__ == "__main__":
    main()
