"""The smallest and fastest int8 networks that are as accurate as a given one, taught by a larger one.

python benchmarks/smaller_than.py CIFAR_FOLDER FLOOR.tflite TEACHER.keras --work FOLDER [--train NAME ...]
    [--finalists NAME ...] [--also RUN ...]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. Every network of small_networks.py that --train names goes
through smaller_than.yaml as far as its int8 file, and is judged on the validation images alone. One that has grown out
of another begins with what that one has learned and takes smaller_than_grown.yaml; NAME_smaller is what
smaller_still.yaml makes of the network that NAME trained. Only --finalists, and the files of the runs of --also, are
held against the floor on the test images, which are read for nothing else: top-1, McNemar's test, and the latency of
all files side by side. Each network has its run under --work: an interrupted one goes on, and that of a finalist is
what `edgekit compress --recipe benchmarks/smaller_than.yaml` (or smaller_still.yaml) makes. Finalists of earlier calls
against the same floor stay in the table, as they were measured. half_ResNet-8_learned_on is what smaller_than_half.yaml
made of stages/step-0-channels/model.keras in the run of `halved.py ... --exclude conv2d_6 conv2d_7`, on the floor's own
network.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from cells import markdown
from paired import against, int8_of, line
from record import claim, conditions, earlier, save, units
from small_networks import GROWN, NETWORKS, grown, written

from edgekit.artifact import Artifact, load_artifact, sha256_of
from edgekit.data.dataset import Dataset, load_data
from edgekit.data.split import Split
from edgekit.evaluation.evaluate import evaluate
from edgekit.evaluation.record import Evaluation
from edgekit.lineage import Lineage
from edgekit.measurement.bench import bench
from edgekit.pipeline import compress
from edgekit.preprocess import PRESETS, Preprocess, preset
from edgekit.recipe import Recipe, load_recipe
from edgekit.report.front import front
from edgekit.run import open_run
from edgekit.runtime.dissect import inspect
from edgekit.subject import subject_of

RECIPE = Path(__file__).with_suffix(".yaml")
FURTHER = RECIPE.with_name("smaller_than_grown.yaml")
STILL, SMALLER = RECIPE.with_name("smaller_still.yaml"), "_smaller"
HALF = RECIPE.with_name("smaller_than_half.yaml")  # what halved.py left; given by --also
NAMES = [name + after for name in NETWORKS for after in ("", SMALLER)]
FLOOR = "the floor"


def recipe_of(name: str, given: argparse.Namespace) -> Recipe:
    """The committed recipe for one network, which is written where it is not there; or for the one that was trained."""
    fields: dict[str, Any] = {"data.source": str(given.cifar), "train.distil.teacher": str(given.teacher)}
    if name.endswith(SMALLER):
        return load_recipe(STILL, {**fields, "model.name": str(_trained(name.removesuffix(SMALLER), given.work))})
    path = given.work / f"{name}.keras"
    start = GROWN.get(name)
    fields["model.name"] = str(grown(name, _trained(start, given.work), path) if start else written(name, path))
    fields |= {} if given.epochs is None else {"train.epochs": given.epochs}
    return load_recipe(FURTHER if start else RECIPE, fields)


def _trained(name: str, work: Path) -> Path:
    return work / name / "artifacts" / f"{name}.keras"


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
    arguments.add_argument("--train", nargs="*", choices=NAMES, default=())
    arguments.add_argument("--finalists", nargs="*", choices=NAMES, default=())
    arguments.add_argument("--also", nargs="*", type=Path, default=(), metavar="RUN", help="more finalists: runs")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    for name in given.train:
        recipe = recipe_of(name, given)
        data = images(recipe)
        file = candidate(name, recipe, data, given.work / name)
        found = evaluate(file, data.val)
        print(f"{name}: {found.top1.value:.2%} of the validation images, {file.path.stat().st_size} bytes", flush=True)
    if not (given.finalists or given.also):
        return
    measured_under = conditions()
    runs = {name: compress(recipe_of(name, given), out=given.work / name, progress=_Lines(name)).folder
            for name in given.finalists}  # fmt: skip
    files = {name: int8_of(run) for name, run in {**runs, **{run.name: run for run in given.also}}.items()}
    look = preset(given.floor_preprocess, 32, 32)
    data = load_data(given.cifar, preprocess=look)
    about = {"teacher_sha256": sha256_of(given.teacher.read_bytes()), "conditions": measured_under}
    found = [{**row, **about} for row in judge(files, load_artifact(given.floor), look, data)]
    rows = with_earlier(found, earlier("smaller_than", {"rows": []})["rows"])
    recipes = {path.name: load_recipe(path).model_dump(mode="json") for path in (RECIPE, FURTHER, STILL, HALF)}
    save("smaller_than", claims_of(rows), {"rows": rows, "recipes": recipes}, measured_under)


def with_earlier(rows: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every finalist there ever was against this floor, the others as they were measured: none is dropped from the
    list. `pareto`: what no other beats."""
    if before and before[0]["sha256"] == rows[0]["sha256"]:
        names = {row["name"] for row in rows}
        rows = [rows[0], *(row for row in before[1:] if row["name"] not in names), *rows[1:]]
    return [{**row, "pareto": best} for row, best in zip(rows, unbeaten(rows), strict=True)]


def judge(files: dict[str, Artifact], floor: Artifact, look: Preprocess, data: Dataset) -> list[dict[str, Any]]:
    """Finalists against the floor, the first row: the one time that the test images are read."""
    start = evaluate(floor, data.test, look)
    speeds = bench([floor.path, *(file.path for file in files.values())], processes=5, min_seconds=3.0)
    whole = speeds[0].latency_ms.median
    rows = []
    for (name, file), speed in zip({FLOOR: floor, **files}.items(), speeds, strict=True):
        facts = inspect(file.path)
        found = against(start, start if name == FLOOR else as_fed(file, data.test, look))
        print(line(name, found), flush=True)
        rows.append({"name": name, "params": facts.params, "macs": facts.macs, **found, "timed": speed.summary(),
                     "val_top1": as_fed(file, data.val, look).top1.value,
                     "latency": speed.latency_ms.median / whole})  # fmt: skip
    return rows


def as_fed(file: Artifact, split: Split, look: Preprocess) -> Evaluation:
    """With the images prepared as the file's card says, or as `look` does where it has none."""
    return evaluate(file, split, file.card.preprocessing if file.card else look)


def unbeaten(rows: list[dict[str, Any]]) -> tuple[bool, ...]:
    """Whether no other is at least as small, fast and accurate, and better in one of them."""
    return front([(row["bytes"], row["latency"], row["top1"]["value"]) for row in rows])


def claims_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was aimed at, of each finalist."""
    floor, found = rows[0], []
    for row in rows[1:]:
        name, size = row["name"], row["bytes"] / floor["bytes"]
        found += [claim(f"{name}: points of int8 top-1 above the floor", row["points"], "", least=0),
                  claim(f"{name}: bytes, of the floor's", size, "x", most=0.5),
                  claim(f"{name}: latency{units(row['conditions'])}, of the floor's", row["latency"], "x",
                        most=0.5)]  # fmt: skip
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """A row a file, on the test images; in bold what no other beats in accuracy, bytes and latency together."""
    cells = ([f"**{row['name']}**" if row["pareto"] else row["name"], f"{row['params']:,}", f"{row['macs']:,}",
              f"{row['bytes']:,}", f"{row['latency']:.2f} x", f"{row['top1']['value']:.2%}",
              "{:+.2f} [{:+.2f}, {:+.2f}]".format(row["points"], *row["ci95_points"]), f"{row['mcnemar_p']:.2g}"]
             for row in rows)  # fmt: skip
    heads = ["file", "parameters", "MACs", "bytes", "latency", "top-1", "points above the floor", "McNemar's p"]
    return markdown(heads, cells)


if __name__ == "__main__":
    main()
