"""The smallest and fastest int8 networks that are as accurate as a given one, taught by a larger one.

python benchmarks/smaller_than.py CIFAR_FOLDER FLOOR.tflite TEACHER.keras --work FOLDER [--train NAME ...]
    [--finalists NAME ...]

CIFAR_FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. Every network of small_networks.py that --train names is
trained on the teacher's answers and the labels, then quantization-aware, and judged on the validation images alone.
Only --finalists are held against the floor on the test images, which are read for nothing else: top-1, McNemar's test,
and the latency of all files side by side. What is trained is kept under --work: an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from paired import against, line
from record import claim, conditions, save
from small_networks import NETWORKS, network

from edgekit.artifact import Artifact, load_artifact, sha256_of, write_json
from edgekit.data.dataset import Dataset, load_data
from edgekit.distil_config import Distil
from edgekit.evaluation.evaluate import evaluate
from edgekit.measurement.bench import bench
from edgekit.models.backend import import_keras
from edgekit.preprocess import PRESETS, Preprocess, preset
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import QuantizeAware
from edgekit.train_config import Augment, Train

SEED = 0
MOVED = Augment(flip="horizontal", shift=0.125)
QAT_EPOCHS = 4


def settings(teacher: Path, epochs: int) -> Train:
    """One for all networks. Ahead of AdamW at a rate of 4e-3 by 2 points of validation top-1 after 4 epochs."""
    taught = Distil(teacher=(str(teacher),), answers="once", temperature=4.0, alpha=0.5)
    return Train(epochs=epochs, batch_size=64, optimizer="sgd", learning_rate=0.1, weight_decay=5e-4, augment=MOVED,
                 distil=taught)  # fmt: skip


def made(name: str, data: Dataset, config: Train, work: Path) -> Artifact:
    """The int8 file of a network, trained and quantization-aware trained, from `work` where it is there."""
    kept = work / name / f"{name}_int8.tflite"
    if kept.exists():
        return load_artifact(kept)
    from edgekit.training.fit import train

    keras = import_keras("This benchmark")
    keras.utils.set_random_seed(SEED)
    model = network(name, len(data.class_names))
    trained = train(model, data, config, state_dir=work / name / "train", seed=SEED, progress=_Lines(name))
    model.save(work / name / f"{name}.keras")
    write_json(work / name / "training.json", {
        "history": trained.history.to_dict("records"), "best_epoch": trained.best_epoch, "notes": list(trained.notes),
        "seconds": trained.seconds, "train": config.model_dump(mode="json")})  # fmt: skip
    return quantized(name, model, data, config, work)


def quantized(name: str, model: Any, data: Dataset, config: Train, work: Path) -> Artifact:
    """Quantization-aware training on the same teacher's answers, and the file."""
    from edgekit.compression.step_context import StepContext
    from edgekit.compression.train_quantized import train_quantized
    from edgekit.exporting.export import Exporter
    from edgekit.training.teacher import teacher_of

    assert config.distil is not None
    asked = QuantizeAware(epochs=QAT_EPOCHS, learning_rate=3e-4, distil="teacher")
    context = StepContext(data, work / name / "qat", config, Quantize(), Verify(), True, True, SEED,
                          _Lines(name), teacher=teacher_of(config.distil, data))  # fmt: skip
    stepped = train_quantized(model, asked, context)
    return Exporter(stepped.model, data, name=name).write(work / name, "int8").artifact


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
    arguments.add_argument("--work", type=Path, required=True, help="where trained networks are kept")
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--train", nargs="*", choices=NETWORKS, default=())
    arguments.add_argument("--finalists", nargs="*", choices=NETWORKS, default=())
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    data = load_data(given.cifar, preprocess=preset("tf", 32, 32))
    for name in given.train:
        file = made(name, data, settings(given.teacher, given.epochs), given.work)
        found = evaluate(file, data.val)
        print(f"{name}: {found.top1.value:.2%} of the validation images, {file.path.stat().st_size} bytes", flush=True)
    if given.finalists:
        look = preset(given.floor_preprocess, 32, 32)
        judge(given.finalists, (given.floor, look), data, given.work, sha256_of(given.teacher.read_bytes()))


def judge(names: list[str], known: tuple[Path, Preprocess], data: Dataset, work: Path, teacher: str) -> None:
    """Finalists against the floor: the one time that the test images are read."""
    measured_under, (floor, look) = conditions(), known
    files = {name: load_artifact(work / name / f"{name}_int8.tflite") for name in names}
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
           "latency": [speed.summary() for speed in speeds], "teacher_sha256": teacher}  # fmt: skip
    save("smaller_than", claims, raw, measured_under)


if __name__ == "__main__":
    main()
