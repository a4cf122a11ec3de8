"""Every way to a smaller network, on every kind of network: is the target reached, and does the int8 file say the same?

python benchmarks/steps_grid.py [NAME ...] [--methods METHOD ...] [--table] [--results FOLDER]

A cell is one network and one method: the network is trained on the digits until it knows them, the step takes a few
hundred steps of training, and the int8 file is compared with the model behind the steps on the test images. A network
leaves results/steps/NAME.json; what is there, of the same code, is not run again. The families of the zoo have at most
`blocks` blocks a stage, every kind of block once.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cells import asked_for, code, known, markdown, path_of, run_missing
from cifar_networks import first
from grid import SEED, build, shortened
from record import RESULTS, conditions

from edgekit.artifact import Artifact, gzip_size, write_json
from edgekit.data.dataset import Dataset, load_data
from edgekit.preprocess import preset
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.runtime.flatbuffer import op_name, parse
from edgekit.step_config import Step
from edgekit.train_config import Train

FOLDER = RESULTS / "steps"
ASKED = 0.98  # of agreement
NEAR = 0.02  # how far from its target a share may end; of channels in multiples of 8 twice that
BATCH = 10  # 126 steps an epoch

PRUNE = {"epochs": 2, "recovery": 0.5}
METHODS: dict[str, tuple[dict[str, Any], ...]] = {
    "prune 50 %": ({"prune": {**PRUNE, "sparsity": 0.5}},),
    "prune 2:4": ({"prune": {**PRUNE, "pattern": "2:4"}},),
    "channels 30 %": ({"channels": {"macs": 0.7, "multiple": 1, "finetune_epochs": 2}},),
    "cluster 16": ({"cluster": {"clusters": 16, "epochs": 2}},),
    "prune, then QAT": ({"prune": {**PRUNE, "sparsity": 0.5}}, {"quantize_aware": {"epochs": 2}}),
    "2:4, cluster, then QAT": (
        {"prune": {**PRUNE, "pattern": "2:4"}}, {"cluster": {"epochs": 1}}, {"quantize_aware": {"epochs": 1}}),
}  # fmt: skip


@dataclass(frozen=True)
class Network:
    """At `size` px, with at most so many blocks a stage (None: all); epochs and rate of its float training."""

    size: int = 32
    preset: str = "tf"
    blocks: int | None = 1
    epochs: int = 3
    rate: float = 1e-3


NETWORKS: dict[str, Network] = {
    "mobilenet_v1": Network(),
    "mobilenet_v2": Network(),
    "mobilenet_v3_small": Network(),
    "efficientnet_b0": Network(preset="imagenet"),
    "efficientnet_lite0": Network(),
    "resnet18": Network(72, "imagenet"),
    "resnet8": Network(),
    "lenet5": Network(),
    "squeezenet": Network(72, "imagenet", epochs=5, rate=3e-4),
    "three_conv": Network(),
    "keras:MobileNetV3Small": Network(64, "raw"),
    "keras:DenseNet121": Network(32, "imagenet"),
    "keras:EfficientNetV2B0": Network(64, "raw"),
}


def measure(name: str, methods: Sequence[str], images: int | None = None) -> dict[str, Any]:
    """The network, trained once, and each method on a copy of it; at most so many training images of every class."""
    from edgekit.training.fit import train

    cell = NETWORKS[name]
    data = load_data("digits", preprocess=preset(cell.preset, cell.size, cell.size), calibration_images=100)
    if images:
        data = replace(data, train=first(data.train, images))
    with shortened(cell.blocks):
        model = build(name, cell.size)
    config = Train(epochs=cell.epochs, batch_size=BATCH, learning_rate=cell.rate)
    trained = train(model, data, config, seed=SEED)
    found = {}
    for method in methods:
        print(f"   {name}: {method}", flush=True)
        found[method] = taken(model, METHODS[method], data, cell.rate)
    return {"float_top1": float(trained.history["val_top1"].max()), "methods": found}


def taken(model: Any, steps: tuple[dict[str, Any], ...], data: Dataset, rate: float) -> dict[str, Any]:
    """What the steps did to a copy of the model, and what the int8 file of the last one says."""
    from edgekit.compression.step_context import StepContext
    from edgekit.compression.steps import take

    figures, reports = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for number, said in enumerate(steps):
            (name, given), = said.items()  # fmt: skip
            step = Step.model_validate({name: {**given, "learning_rate": rate / 2}})
            state = Path(folder) / f"{number}"
            state.mkdir()
            context = StepContext(data, state, Train(batch_size=BATCH), Quantize(), Verify(), True, True, SEED)
            stepped = take(model, step, context)
            model = stepped.model
            figures[name] = {key: value for key, value in stepped.figures.items() if key not in ("layers", "training")}
            reports.append({"name": name, "skipped": [asdict(one) for one in stepped.skipped]})
        return {**outcome(figures), **in_file(model, data, Path(folder)), "figures": figures, "reports": reports}


def outcome(figures: dict[str, Any]) -> dict[str, Any]:
    """The share that was asked for, and the one that is there."""
    if "channels" in figures:
        macs = figures["channels"]["macs"]
        return {"asked": 0.7, "reached": macs["after"] / macs["before"], "of": "MACs left"}
    if "prune" in figures:
        return {"asked": 0.5, "reached": figures["prune"]["sparsity"], "of": "zeros"}
    return {"asked": 16, "reached": None, "of": "values a channel"}


def in_file(model: Any, data: Dataset, folder: Path) -> dict[str, Any]:
    """The int8 file against the model it was made of, on the test images, and what is in its weights."""
    from edgekit.evaluation.evaluate import evaluate
    from edgekit.exporting.export import Exporter

    tested = replace(data, val=data.test)  # the exporter compares on what it takes for held out
    made = Exporter(model, tested, limits=Verify(images=len(data.test))).write(folder, "int8")
    content = made.artifact.content
    weights = list(codes(content))
    return {
        "n": made.parity.n,
        "agreement": made.parity.agreement,
        "ci95": list(made.parity.ci95 or ()),
        "sqnr_db": made.parity.sqnr_db,
        "float_ops": list(made.parity.float_ops),
        "top1": evaluate(Artifact(made.artifact.path, made.artifact.card), data.test, workers=1).top1.to_json(),
        "size_bytes": len(content),
        "gzip_bytes": gzip_size(content),
        "zero_codes": sum(int((one == 0).sum()) for one in weights),
        "codes": sum(one.size for one in weights),
        "most_values_a_channel": max(len(np.unique(row)) for one in weights for row in one),
        "two_of_four": [bool(fits) for one in weights if (fits := two_of_four(one)) is not None],
    }


def codes(content: bytes) -> Iterator[np.ndarray]:
    """The int8 weights [out, ..., in] of each convolution and dense layer."""
    model = parse(content)
    for operator in model.subgraphs[0].operators:
        if op_name(model, operator) in ("CONV_2D", "FULLY_CONNECTED"):
            tensor = model.subgraphs[0].tensors[operator.inputs[1]]
            yield np.frombuffer(model.buffers[tensor.buffer].data.tobytes(), np.int8).reshape(tensor.shape)


def two_of_four(weights: np.ndarray) -> bool | None:
    """Whether of four weights along the input channels two are 0; None where there are not as many channels."""
    whole = weights.shape[-1] // 4 * 4
    if not whole:
        return None
    groups = weights[..., :whole].reshape(-1, 4)
    return bool(((groups != 0).sum(axis=1) <= 2).all())


def run(name: str, methods: list[str], results: Path) -> None:
    """Measures a network here and writes its file."""
    warnings.simplefilter("ignore")
    measured_under = conditions()
    found = measure(name, methods)
    whole = {"name": name, "code": code(), "network": asdict(NETWORKS[name]), "conditions": measured_under}
    write_json(path_of(name, results), {**whole, **found})


def complaints(method: str, one: dict[str, Any]) -> list[str]:
    """What of a cell is not as asked."""
    said = [f"agreement {one['agreement']:.1%}"] if one["agreement"] < ASKED else []
    said += [f"float operators {', '.join(one['float_ops'])}"] if one["float_ops"] else []
    if one["reached"] is not None and abs(one["reached"] - one["asked"]) > NEAR * (2 if "channels" in method else 1):
        said.append(f"{one['reached']:.1%} {one['of']} of {one['asked']:.0%}")
    if "prune" in one["figures"] and one["zero_codes"] < one["figures"]["prune"]["zeros"]:
        said.append("zeros were lost in the file")
    return said


def table(results: Path) -> str:
    """A row a network, a column a method: what was reached, the agreement, the test top-1 of the file."""
    rows = [one for name in NETWORKS if (one := known(name, results))]
    cells = ([one["name"], f"{one['float_top1']:.1%}", *(_cell(one["methods"].get(method)) for method in METHODS)]
             for one in rows)  # fmt: skip
    return markdown(["network", "float", *METHODS], cells)


def _cell(one: dict[str, Any] | None) -> str:
    if one is None:
        return "-"
    reached = f"{one['reached']:.1%} {one['of']}" if one["reached"] else f"{one['most_values_a_channel']} {one['of']}"
    return f"{reached}, same {one['agreement']:.1%}, {one['top1']['value']:.1%}"


def main() -> int:
    """1 where a network failed or a cell is not as asked."""
    arguments = asked_for(__doc__, NETWORKS, FOLDER)
    arguments.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = arguments.parse_args()
    if unknown := set(given.names) - set(NETWORKS):
        arguments.error(f"unknown: {', '.join(sorted(unknown))}")
    if given.here:
        run(given.names[0], given.methods, given.results)
        return 0
    names, failed = given.names or list(NETWORKS), []
    if not given.table:
        failed = run_missing(
            __file__, names, given.results,
            lambda done: done["network"] == asdict(NETWORKS[done["name"]]) and {*given.methods} <= {*done["methods"]},
            ["--methods", *given.methods],
        )  # fmt: skip
    print(table(given.results))
    failed += [f"{name}, {method}: {said}" for name in names if (one := known(name, given.results))
               for method, cell in one["methods"].items() for said in complaints(method, cell)]  # fmt: skip
    print("\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
