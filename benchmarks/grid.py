"""Quantization-aware training of every kind of network: is the file all-int8, and does it say what the model says?

python benchmarks/grid.py [NAME ...] [--table] [--results FOLDER] [--blocks 2]

A cell is one network: trained on the digits until it knows them, a few hundred steps of quantization-aware training,
exported, and compared with its fake-quantized model on the test images. It leaves results/grid/NAME.json; what is
there, of the same code, is not run again. What has no kind of block that others do not have is no cell of its own.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cells import asked_for, code, known, markdown, path_of, run_missing
from cifar_networks import first
from record import RESULTS, conditions

from edgekit.artifact import write_json
from edgekit.data.dataset import Dataset, load_data
from edgekit.models.backend import import_keras
from edgekit.preprocess import preset
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import QuantizeAware
from edgekit.train_config import Train

FOLDER = RESULTS / "grid"
SEED = 0
ASKED = 0.98  # of agreement


@dataclass(frozen=True)
class Cell:
    """A network at `size` px: float epochs and images a step, then the same of quantization-aware training.

    keras.applications is asked for a `keras:` network itself, also where the zoo has the same one.
    """

    size: int
    preset: str = "tf"
    float_batch: int = 8
    float_epochs: int = 2
    batch: int = 5
    epochs: int = 1
    rate: float = 1e-3


# Beyond 64 px the networks of the zoo keep their strides and so compute less than at 32: 72 is for the large ones.
CELLS: dict[str, Cell] = {
    "mobilenet_v2": Cell(32),
    "mobilenet_v3_small": Cell(32),
    "efficientnet_b0": Cell(32, "imagenet"),
    "resnet18": Cell(72, "imagenet"),
    "resnet8": Cell(32),
    "lenet5": Cell(32),
    "alexnet": Cell(72, "imagenet", rate=1e-4),
    "squeezenet": Cell(72, "imagenet", rate=3e-4, float_epochs=4),
    "three_conv": Cell(32),
    "keras:MobileNetV3Small": Cell(64, "raw"),
    "keras:MobileNetV3Large": Cell(64, "raw"),
    "keras:EfficientNetB0": Cell(64, "raw"),
    "keras:ResNet50": Cell(64, "caffe"),
    "keras:DenseNet121": Cell(64, "imagenet"),
    "keras:ResNet50V2": Cell(64),
    "keras:EfficientNetV2B0": Cell(64, "raw"),
}


def build(name: str, size: int) -> Any:
    """The network on logits of 10 classes, with random weights. Its batch statistics follow within an epoch."""
    from edgekit.models import zoo

    keras = import_keras("This benchmark")
    keras.utils.set_random_seed(SEED)
    shape = (size, size, 3)
    if not name.startswith("keras:"):
        return zoo.build(name, classes=10, input_shape=shape)
    network = getattr(keras.applications, name.removeprefix("keras:"))
    model = network(weights=None, input_shape=shape, classes=10, classifier_activation=None)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return model


@contextlib.contextmanager
def shortened(blocks: int | None) -> Iterator[None]:
    """Within it the zoo's tables have at most `blocks` blocks a stage: every kind of block, and soon done."""
    from edgekit.models import efficientnet, mobilenet, mobilenet_v3, resnet, resnet_imagenet

    if blocks is None:
        yield
        return
    cut: list[tuple[Any, str, Any]] = [
        (efficientnet, "STAGES", _fewer(efficientnet.STAGES, blocks)),
        (mobilenet, "FAMILIES", {name: (_fewer(table, blocks), *rest)
                                 for name, (table, *rest) in mobilenet.FAMILIES.items()}),
        (mobilenet_v3, "VARIANTS", {name: (_first(table, blocks), head)
                                    for name, (table, head) in mobilenet_v3.VARIANTS.items()}),
        (resnet, "BLOCKS_A_STAGE", {name: min(count, blocks) for name, count in resnet.BLOCKS_A_STAGE.items()}),
        (resnet_imagenet, "NETS", {name: replace(net, repeats=tuple(min(count, blocks) for count in net.repeats))
                                   for name, net in resnet_imagenet.NETS.items()}),
    ]  # fmt: skip
    whole = [(module, name, getattr(module, name)) for module, name, _ in cut]
    try:
        for module, name, value in cut:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in whole:
            setattr(module, name, value)


def _fewer(stages: tuple[Any, ...], blocks: int) -> tuple[Any, ...]:
    return tuple(replace(stage, repeats=min(stage.repeats, blocks)) for stage in stages)


def _first(table: tuple[Any, ...], blocks: int) -> tuple[Any, ...]:
    """Of blocks in a row; those of one width are a stage."""
    kept: list[Any] = []
    for block in table:
        if [one.filters for one in kept[-blocks:]] != [block.filters] * blocks:
            kept.append(block)
    return tuple(kept)


def measure(name: str, cell: Cell, blocks: int | None = None, images: int | None = None) -> dict[str, Any]:
    """One cell; with at most so many blocks a stage, and training images of every class."""
    from edgekit.compression.step_context import StepContext
    from edgekit.compression.train_quantized import train_quantized
    from edgekit.training.fit import train

    data = load_data("digits", preprocess=preset(cell.preset, cell.size, cell.size), calibration_images=100)
    with shortened(blocks):
        model = build(name, cell.size)
    if images:
        data = replace(data, train=first(data.train, images))
    started, count = time.monotonic(), len(data.train)
    float_steps, steps = (-(-count // cell.float_batch) * cell.float_epochs, -(-count // cell.batch) * cell.epochs)
    config = Train(epochs=cell.float_epochs, batch_size=cell.float_batch, learning_rate=cell.rate)
    trained = train(model, data, config, seed=SEED)
    wanted, smaller = QuantizeAware(epochs=cell.epochs, learning_rate=cell.rate), Train(batch_size=cell.batch)
    with tempfile.TemporaryDirectory() as folder:
        stepped = train_quantized(
            model, wanted, StepContext(data, Path(folder) / "state", smaller, Quantize(), Verify(), True, True, SEED)
        )
        found = compared(stepped.model, data, Path(folder))
    return {
        "float_top1": float(trained.history["val_top1"].max()),
        "steps": steps,
        "float_image_ms": 1000 * trained.seconds / (float_steps * cell.float_batch),
        "image_ms": 1000 * stepped.figures["training"]["seconds"] / (steps * cell.batch),
        "seconds": time.monotonic() - started,
        **found,
        "report": stepped.to_json(),
    }


def compared(model: Any, data: Dataset, folder: Path) -> dict[str, Any]:
    """The int8 file against the fake-quantized model on the test images, which nothing was chosen on."""
    from edgekit.evaluation.evaluate import evaluate
    from edgekit.exporting.export import Exporter

    tested = replace(data, val=data.test)  # the exporter compares on what it takes for held out
    exported = Exporter(model, tested, limits=Verify(images=len(data.test))).write(folder, "int8")
    found = exported.parity
    return {
        "n": found.n,
        "agreement": found.agreement,
        "ci95": list(found.ci95 or ()),
        "sqnr_db": found.sqnr_db,
        "float_ops": list(found.float_ops),
        "file_top1": evaluate(exported.artifact, data.test, workers=1).top1.to_json(),
        "size_bytes": exported.artifact.path.stat().st_size,
    }


def run(name: str, blocks: int | None, results: Path) -> None:
    """Measures a cell here and writes its file."""
    warnings.simplefilter("ignore")
    cell = CELLS[name]
    measured_under = conditions()
    found = measure(name, cell, blocks)
    whole = {"name": name, "code": code(), "blocks": blocks, "cell": asdict(cell), "conditions": measured_under}
    write_json(path_of(name, results), {**whole, **found})


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "network": lambda one: one["name"],
    "px": lambda one: str(one["cell"]["size"]),
    "QAT steps": lambda one: str(one["steps"]),
    "float ops left": lambda one: str(len(one["float_ops"])),
    "agreement": lambda one: f"{one['agreement']:.1%} of {one['n']}",
    "SQNR": lambda one: f"{one['sqnr_db']:.1f} dB",
    "float top-1": lambda one: f"{one['float_top1']:.1%}",
    "int8 top-1": lambda one: f"{one['file_top1']['value']:.1%}",
    "an image in float / QAT": lambda one: f"{one['float_image_ms']:.1f} / {one['image_ms']:.1f} ms",
    "code": lambda one: one["code"]["sha256"][:8],
}


def table(results: Path) -> str:
    """A row a cell that was measured."""
    rows = [one for name in CELLS if (one := known(name, results))]
    return markdown(list(COLUMNS), ([column(one) for column in COLUMNS.values()] for one in rows))


def complaints(one: dict[str, Any]) -> list[str]:
    """What of a cell is not as asked."""
    said = [f"agreement {one['agreement']:.1%}"] if one["agreement"] < ASKED else []
    return said + ([f"float operators {', '.join(one['float_ops'])}"] if one["float_ops"] else [])


def main() -> int:
    """1 where a cell failed or is not as asked."""
    arguments = asked_for(__doc__, CELLS, FOLDER)
    arguments.add_argument("--blocks", type=int, help="at most, a stage of the zoo's networks")
    given = arguments.parse_args()
    if unknown := set(given.names) - set(CELLS):
        arguments.error(f"unknown: {', '.join(sorted(unknown))}")
    if given.here:
        run(given.names[0], given.blocks, given.results)
        return 0
    names, failed = given.names or list(CELLS), []
    if not given.table:
        words = ["--blocks", str(given.blocks)] if given.blocks else []
        failed = run_missing(
            __file__, names, given.results,
            lambda done: (done["blocks"], done["cell"]) == (given.blocks, asdict(CELLS[done["name"]])), words,
        )  # fmt: skip
    print(table(given.results))
    failed += [f"{name}: {said}" for name in names if (one := known(name, given.results)) for said in complaints(one)]
    print("\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
