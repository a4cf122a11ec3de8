"""The smallest and fastest int8 networks that are as accurate as a given one, taught by a larger one.

python benchmarks/smaller_than.py CIFAR_FOLDER FLOOR.tflite TEACHER.keras --work FOLDER [--train NAME ...]
    [--finalists NAME ...]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. Every network of small_networks.py that --train names goes
through smaller_than.yaml as far as its int8 file, and is judged on the validation images alone. Only --finalists are
held against the floor on the test images, which are read for nothing else: top-1, McNemar's test, and the latency of
all files side by side. Each network has its run under --work: an interrupted one goes on, and that of a finalist is
what `edgekit compress --recipe benchmarks/smaller_than.yaml` makes.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from paired import against, line
from record import claim, conditions, save
from small_networks import NETWORKS, written

from edgekit.artifact import Artifact, sha256_of
from edgekit.data.dataset import Dataset, load_data
from edgekit.evaluation.evaluate import evaluate
from edgekit.lineage import Lineage
from edgekit.measurement.bench import bench
from edgekit.pipeline import compress
from edgekit.preprocess import PRESETS, Preprocess, preset
from edgekit.recipe import Recipe, load_recipe
from edgekit.run import open_run
from edgekit.subject import subject_of

RECIPE = Path(__file__).with_suffix(".yaml")


def recipe_of(name: str, given: argparse.Namespace) -> Recipe:
    """The committed recipe for one network, which is written where it is not there."""
    network = written(name, given.work / f"{name}.keras")
    fields = {"model.name": str(network), "data.source": str(given.cifar), "train.distil.teacher": str(given.teacher),
              "train.epochs": given.epochs}  # fmt: skip
    return load_recipe(RECIPE, {field: value for field, value in fields.items() if value is not None})


def images(recipe: Recipe) -> Dataset:
    """As `compress` reads them."""
    subject = subject_of(recipe)
    return load_data(recipe.data.source, preprocess=subject.preprocess(), classes=subject.classes, training=True,
                     calibration_images=recipe.data.calibration_images, seed=recipe.seed)  # fmt: skip


def candidate(name: str, recipe: Recipe, data: Dataset, out: Path) -> Artifact:
    """The int8 file, made as `compress` makes it, but without a look at the test images."""
    with open_run(out) as run:
        lineage = Lineage(run, recipe, subject_of(recipe), data, _Lines(name))
        lineage.train()
        lineage.take_steps()
        artifact: Artifact = lineage.exporter("int8").write(run.file("artifacts"), "int8", recipe.io, recipe).artifact
        return artifact


class _Lines:
    """A line every epoch."""

    def __init__(self, name: str) -> None:
        self._name, self._note = name, ""

    def __call__(self, progress: Any) -> None:
        if progress.note != self._note:
            self._note = progress.note
            print(self._name, progress.stage, progress.note, flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("floor", type=Path, help="an int8 .tflite")
    arguments.add_argument("--floor-preprocess", default="raw", choices=PRESETS)
    arguments.add_argument("teacher", type=Path, help="a .keras file")
    arguments.add_argument("--work", type=Path, required=True, help="where the runs are kept")
    arguments.add_argument("--epochs", type=int, help="other than those of the recipe")
    arguments.add_argument("--train", nargs="*", choices=NETWORKS, default=())
    arguments.add_argument("--finalists", nargs="*", choices=NETWORKS, default=())
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    for name in given.train:
        recipe = recipe_of(name, given)
        data = images(recipe)
        file = candidate(name, recipe, data, given.work / name)
        found = evaluate(file, data.val)
        print(f"{name}: {found.top1.value:.2%} of the validation images, {file.path.stat().st_size} bytes", flush=True)
    if given.finalists:
        judge(given.finalists, (given.floor, preset(given.floor_preprocess, 32, 32)), given)


def judge(names: list[str], known: tuple[Path, Preprocess], given: argparse.Namespace) -> None:
    """Finalists against the floor: the one time that the test images are read."""
    measured_under, (floor, look) = conditions(), known
    data = images(recipe_of(names[0], given))
    files = {}
    for name in names:
        run = compress(recipe_of(name, given), out=given.work / name, progress=_Lines(name))
        (files[name],) = (one for one in run.artifacts if one.card and one.card.variant == "int8")
    start = evaluate(floor, data.test, look)
    val = {name: evaluate(file, data.val).top1.to_json() for name, file in files.items()}
    answers = {name: against(start, evaluate(file, data.test)) for name, file in files.items()}
    speeds = bench([floor, *(file.path for file in files.values())], processes=5, min_seconds=3.0)
    claims = [claim("the floor: int8 top-1", 100 * start.top1.value, "%"),
              claim("the floor: bytes", floor.stat().st_size, "B")]  # fmt: skip
    for name, speed in zip(names, speeds[1:], strict=True):
        one, share = answers[name], speed.latency_ms.median / speeds[0].latency_ms.median
        print(line(name, one))
        claims += [
            claim(f"{name}: points of top-1 above the floor", one["points"], "", least=0),
            claim(f"{name}: bytes, of the floor's", one["bytes"] / floor.stat().st_size, "x", most=0.5),
            claim(f"{name}: latency, of the floor's", share, "x", most=0.5),
        ]
    raw = {"val": val, "test": answers, "floor": {"top1": start.top1.to_json(), "sha256": start.sha256},
           "latency": [speed.summary() for speed in speeds], "teacher_sha256": sha256_of(given.teacher.read_bytes()),
           "recipe": load_recipe(RECIPE).model_dump(mode="json")}  # fmt: skip
    save("smaller_than", claims, raw, measured_under)


if __name__ == "__main__":
    main()
