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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cells import asked_for, code, known, markdown, path_of, run_missing
from cifar_networks import first
from grid import SEED, build, shortened
from record import RESULTS, conditions

from edgekit.artifact import Artifact, gzip_size, write_json
from edgekit.data.dataset import Dataset, load_data
from edgekit.preprocess import preset
from edgekit.quantize_config import Quantize
from edgekit.recipe import Verify
from edgekit.step_config import STEPS, Step
from edgekit.train_config import Train

FOLDER = RESULTS / "steps"
ASKED = 0.98  # of agreement
NEAR = 0.02  # how far from its target a share may end; of channels in multiples of 8 twice that
CLUSTERS = 16
DEPTHWISE = 25  # weights of a channel of a 5x5 depthwise kernel, which is not clustered
BATCH = 10  # 126 steps an epoch

Steps = tuple[dict[str, Any], ...]

PRUNE = {"epochs": 2, "recovery": 0.5}
ALONE = "int8 alone"
METHODS: dict[str, Steps] = {
    ALONE: (),
    "prune 50 %": ({"prune": {**PRUNE, "sparsity": 0.5}},),
    "prune 2:4": ({"prune": {**PRUNE, "pattern": "2:4"}},),
    "channels 30 %": ({"channels": {"macs": 0.7, "multiple": 1, "finetune_epochs": 2}},),
    "cluster 16": ({"cluster": {"clusters": CLUSTERS, "epochs": 2}},),
    "prune, then QAT": ({"prune": {**PRUNE, "sparsity": 0.5}}, {"quantize_aware": {"epochs": 2}}),
    "2:4, cluster, then QAT": (
        {"prune": {**PRUNE, "pattern": "2:4"}}, {"cluster": {"clusters": CLUSTERS, "epochs": 1}},
        {"quantize_aware": {"epochs": 1}}),
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


def measure(name: str, methods: Mapping[str, Steps], images: int | None = None) -> dict[str, Any]:
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
    for method, steps in methods.items():
        print(f"   {name}: {method}", flush=True)
        found[method] = taken(model, steps, data, cell.rate)
    return {"float_top1": float(trained.history["val_top1"].max()), "methods": found}


def taken(model: Any, steps: Steps, data: Dataset, rate: float) -> dict[str, Any]:
    """What the steps did to a copy of the model, and what the int8 file of the last one says."""
    from edgekit.compression.step_context import StepContext
    from edgekit.compression.steps import take

    figures, reports = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for number, said in enumerate(steps):
            (name, given), = said.items()  # fmt: skip
            learns = {"learning_rate": rate / 2} if "learning_rate" in STEPS[name].model_fields else {}
            step = Step.model_validate({name: {**given, **learns}})
            state = Path(folder) / f"{number}"
            state.mkdir()
            context = StepContext(data, state, Train(batch_size=BATCH), Quantize(), Verify(), True, True, SEED)
            stepped = take(model, step, context)
            model = stepped.model
            figures[name] = {key: value for key, value in stepped.figures.items() if key not in ("layers", "training")}
            reports.append({"name": name, "skipped": [asdict(one) for one in stepped.skipped]})
        return {**outcome(figures), **in_file(model, data, Path(folder)), "figures": figures, "reports": reports}


def outcome(figures: dict[str, Any]) -> dict[str, Any]:
    """The share that was asked for, and the one that is there; nulls where no share is asked for."""
    if "channels" in figures:
        macs = figures["channels"]["macs"]
        return {"asked": 0.7, "reached": macs["after"] / macs["before"], "of": "MACs left"}
    if "prune" in figures:
        return {"asked": 0.5, "reached": figures["prune"]["sparsity"], "of": "zeros"}
    return {"asked": None, "reached": None, "of": ""}


def in_file(model: Any, data: Dataset, folder: Path) -> dict[str, Any]:
    """The int8 file against the model it was made of, on the test images, and what is in its weights."""
    from edgekit.evaluation.evaluate import evaluate
    from edgekit.exporting.export import Exporter
    from edgekit.runtime.dissect import inspect

    tested = replace(data, val=data.test)  # the exporter compares on what it takes for held out
    made = Exporter(model, tested, limits=Verify(images=len(data.test))).write(folder, "int8")
    return {
        "n": made.parity.n,
        "agreement": made.parity.agreement,
        "ci95": list(made.parity.ci95 or ()),
        "sqnr_db": made.parity.sqnr_db,
        "float_ops": list(made.parity.float_ops),
        "top1": evaluate(Artifact(made.artifact.path, made.artifact.card), data.test, workers=1).top1.to_json(),
        "size_bytes": len(made.artifact.content),
        "gzip_bytes": gzip_size(made.artifact.content),
        "weights": inspect(made.artifact.path).values.to_json(),
    }


def run(name: str, methods: list[str], results: Path) -> None:
    """Measures a network here and writes its file."""
    warnings.simplefilter("ignore")
    measured_under = conditions()
    found = measure(name, {method: METHODS[method] for method in methods})
    whole = {"name": name, "code": code(), "network": asdict(NETWORKS[name]), "conditions": measured_under}
    write_json(path_of(name, results), {**whole, **found})


def complaints(method: str, one: dict[str, Any]) -> list[str]:
    """What of a cell is not as asked."""
    said = [f"agreement {one['agreement']:.1%}"] if one["agreement"] < ASKED else []
    said += [f"float operators {', '.join(one['float_ops'])}"] if one["float_ops"] else []
    if one["reached"] is not None and abs(one["reached"] - one["asked"]) > NEAR * (2 if "channels" in method else 1):
        said.append(f"{one['reached']:.1%} {one['of']} of {one['asked']:.0%}")
    weights = one["weights"]
    if "prune" in one["figures"] and weights["zeros"] < one["figures"]["prune"]["zeros"]:
        said.append("zeros were lost in the file")
    if "2:4" in method and weights["two_of_four"] < weights["fours"]:
        said.append(f"2:4 holds for {weights['two_of_four']:,} of {weights['fours']:,} weights")
    left = any("not clustered: depthwise" in note["text"] for step in one["reports"] for note in step["skipped"])
    most = DEPTHWISE if left else CLUSTERS + 1  # a zero that was pruned is kept beside
    if "cluster" in method and weights["distinct_a_channel"] > most:
        said.append(f"{weights['distinct_a_channel']} values a channel")
    return said


def table(results: Path) -> str:
    """A row a network, a column a method: what was reached, the agreement, the test top-1 of the file, and its bytes
    when packed, as a share of those without a step."""
    rows = [one for name in NETWORKS if (one := known(name, results))]
    cells = ([one["name"], f"{one['float_top1']:.1%}", *(_cell(one["methods"], method) for method in METHODS)]
             for one in rows)  # fmt: skip
    return markdown(["network", "float", *METHODS], cells)


def _cell(methods: dict[str, Any], method: str) -> str:
    one, alone = methods.get(method), methods.get(ALONE)
    if one is None:
        return "-"
    told = [f"{one['reached']:.1%} {one['of']}"] if one["of"] else []
    told += [f"{one['weights']['distinct_a_channel']} values"] if "cluster" in method else []
    told += [f"same {one['agreement']:.1%}", f"top-1 {one['top1']['value']:.1%}"]
    return ", ".join(told + ([f"packed {one['gzip_bytes'] / alone['gzip_bytes']:.2f} x"] if alone else []))


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
