"""Training with a teacher against training without: the same network, images, steps and seeds, three times each.

python benchmarks/distillation.py CIFAR_FOLDER TEACHER.keras --work FOLDER [--epochs 20] [--images 1500] [--kind ...]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg; TEACHER.keras takes the same images, of whatever size, and
sees each training image once. What is trained is kept under --work: an interrupted benchmark
goes on. All but the teacher is the same with and without it, and the epoch is chosen on validation images.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cifar_networks import MOVED, SIZE, first
from record import claim, conditions, save

from edgekit.artifact import sha256_of
from edgekit.data.dataset import Dataset, load_data
from edgekit.distil_config import Distil
from edgekit.models.backend import import_keras
from edgekit.models.teachers import load_teachers
from edgekit.models.zoo import ZOO, build
from edgekit.preprocess import preset
from edgekit.train_config import Train

T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # of Student's distribution, by the number of seeds
ALONE = "without"


def student(name: str, data: Dataset, config: Train, seed: int, state: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Which test images a network gets right, bool [n], and how its training went."""
    from edgekit.training.fit import train

    import_keras("This benchmark").utils.set_random_seed(seed)
    model = build(name, classes=len(data.class_names), input_shape=(SIZE, SIZE, 3))
    trained = train(model, data, config, state_dir=state, seed=seed)
    told = {"seed": seed, "best_epoch": trained.best_epoch, "seconds": trained.seconds, "notes": list(trained.notes),
            "val_top1": float(trained.history["val_top1"].max())}  # fmt: skip
    return right(model, data), told


def right(model: Any, data: Dataset, feed: Any | None = None) -> np.ndarray:
    """bool [n] of the test images, which are read for this alone."""
    from edgekit.training.batches import PlainBatches

    batches = PlainBatches(data.test, 256, len(data.class_names))
    images = (batches.batch(number)[0] for number in range(len(batches)))
    answers = [np.asarray(model(feed(one) if feed else one, training=False)).argmax(1) for one in images]
    return np.asarray(np.concatenate(answers) == data.test.labels)


def paired(with_it: np.ndarray, without: np.ndarray) -> dict[str, Any]:
    """Points of top-1 that the teacher brings, of bool [seeds, images] each: their mean, 95 % intervals over the images
    (of these seeds) and over the seeds (of these images; Student's t), and the points of each seed."""
    gained = 100 * (with_it.astype(float) - without)
    images, seeds = gained.mean(axis=0), gained.mean(axis=1)
    mean, around = float(gained.mean()), 1.96 * float(images.std(ddof=1)) / len(images) ** 0.5
    spread = T_95.get(len(seeds), float("nan")) * float(seeds.std(ddof=1)) / len(seeds) ** 0.5
    return {
        "points": mean,
        "ci95_points": [mean - around, mean + around],
        "ci95_points_of_seeds": [mean - spread, mean + spread],
        "points_of_each": seeds.tolist(),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("teacher", type=Path, help="a .keras file")
    arguments.add_argument("--work", type=Path, required=True, help="where the state of trainings is kept")
    arguments.add_argument("--student", default="resnet8")
    arguments.add_argument("--epochs", type=int, default=20)
    arguments.add_argument("--images", type=int, help="training images of every class; default: all")
    arguments.add_argument("--seeds", type=int, default=3, choices=T_95)
    arguments.add_argument("--kind", nargs="+", default=["logits"], help="logits, decoupled, attention, features")
    arguments.add_argument("--temperature", type=float, default=4.0)
    arguments.add_argument("--alpha", type=float, default=0.9)
    arguments.add_argument("--answers", default="once", choices=["once", "live"])
    arguments.add_argument("--weight", type=float, default=1.0)
    arguments.add_argument("--name", default="distillation", help="of the result; another setting keeps the one before")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    data = load_data(given.cifar, preprocess=preset(ZOO[given.student].preprocess, SIZE, SIZE))
    if given.images:
        data = replace(data, train=first(data.train, given.images))
    plain = Train(epochs=given.epochs, batch_size=64, learning_rate=3e-3, weight_decay=2e-2, augment=MOVED)
    said = {"teacher": (str(given.teacher),), "temperature": given.temperature, "alpha": given.alpha,
            "answers": given.answers}  # fmt: skip
    configs = {ALONE: plain}
    for kind in given.kind:
        distil = Distil.model_validate({**said, "kind": kind, "weight": given.weight})
        configs[kind] = plain.model_copy(update={"distil": distil})
    (loaded,) = load_teachers(configs[given.kind[0]].distil, data.preprocess, data.class_names)
    known = float(right(loaded.model, data, loaded.feed).mean())
    print(f"teacher: {known:.2%} of the test images")
    answers: dict[str, list[np.ndarray]] = {name: [] for name in configs}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in configs}
    for seed in range(given.seeds):
        for name, config in configs.items():
            found, told = student(given.student, data, config, seed, given.work / f"{given.student}-{name}-{seed}")
            answers[name].append(found)
            runs[name].append({**told, "top1": float(found.mean())})
            print(f"{name} seed {seed}: {found.mean():.2%}, {told['seconds']:.0f} s", flush=True)
    gains = {kind: paired(np.array(answers[kind]), np.array(answers[ALONE])) for kind in given.kind}
    about = (
        f"{given.student}, {len(data.train)} images, {given.epochs} epochs, {given.seeds} seeds, n = {len(data.test)}"
    )
    claims = [claim(f"{about}: points by a teacher, {kind}", one["points"], "", least=1) for kind, one in gains.items()]
    for name, found in answers.items():
        claims.append(claim(f"{about}: top-1, {name}", 100 * float(np.mean(found)), "%"))
    ahead = 100 * (known - float(np.mean(answers[ALONE])))
    claims.append(claim("top-1 of the teacher, points above the student alone", ahead, "", least=5))
    raw = {"gains": gains, "runs": runs, "teacher_sha256": sha256_of(given.teacher.read_bytes()),
           "train": {name: config.model_dump(mode="json") for name, config in configs.items()}}  # fmt: skip
    save(given.name, claims, raw, measured_under)


if __name__ == "__main__":
    main()
