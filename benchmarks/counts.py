"""Do `edgekit models` and `edgekit inspect` count alike, and inspect and TensorFlow Lite Micro?

python benchmarks/counts.py [--size 64] [--arena FILE.tflite ...] [MODEL ...]

Every network of the zoo is exported and inspected. Weights are random: a bias of zeros is left out by the converter,
and trained ones are not zero. Parameters are those in a file (`deployed_params`), MACs those of one image; both have
to be equal to the last digit. The arena of the files is held against what TensorFlow Lite Micro's recording allocator
counts (`edgekit runtime add tflm`). With networks of one's own choice nothing is kept.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from record import claim, conditions, save

from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.measurement.answers import Answers
from edgekit.models.backend import import_keras
from edgekit.models.count import count
from edgekit.models.zoo import ZOO, build
from edgekit.runtime.dissect import inspect
from edgekit.runtime.probe import probe
from edgekit.verification.ends import ends_of
from edgekit.verification.inputs import inputs_for
from edgekit.verification.rows import ROWS, job

CLASSES = 10


def counted(name: str, size: int, folder: Path) -> dict[str, Any]:
    keras = import_keras("This benchmark")
    keras.backend.clear_session()
    model = build(name, classes=CLASSES, input_shape=(size, size, 3))
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.5, 1.5, one.shape) if one.ndim == 1 else one for one in model.get_weights()])
    cost, path = count(model), folder / "model.tflite"
    path.write_bytes(convert(freeze(model), "float32", calibration=None))
    found = inspect(path)
    return {
        "model": name, "params": cost.params, "deployed_params": cost.deployed_params, "file_params": found.params,
        "macs": cost.macs, "file_macs": found.macs, "uncounted": list(found.uncounted),
    }  # fmt: skip


def recorded(path: Path) -> dict[str, Any]:
    """Bytes of the arena: inspect's estimate, and TensorFlow Lite Micro's own count while it runs the file."""
    found, estimate = probe(path), inspect(path).arena
    with job(found.content, inputs_for(found, None, None), ends_of(found.content), found.seconds) as given:
        answer = ROWS["tflm"].run(given)
    if not isinstance(answer, Answers) or estimate is None:
        raise SystemExit(f"{path.name} has no arena to compare: {answer}")
    counted = answer.notes["arena_bytes"]
    return {"file": path.name, "runtime": answer.runtime, "inspect": estimate.total, "tflm": counted}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("models", nargs="*", default=list(ZOO))
    arguments.add_argument("--size", type=int, default=64)
    arguments.add_argument("--arena", type=Path, nargs="*", default=[])
    given = arguments.parse_args()
    measured_under, rows = conditions(), []
    arenas = [recorded(path) for path in given.arena]
    print(arenas, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in given.models:
            rows.append(counted(name, given.size, Path(folder)))
            print(rows[-1], flush=True)
    params = sum(row["deployed_params"] == row["file_params"] for row in rows)
    macs = sum(row["macs"] == row["file_macs"] and not row["uncounted"] for row in rows)
    claims = [
        claim("networks of the zoo whose file has the parameters of `edgekit models`", params, "", least=len(rows)),
        claim("networks of the zoo whose file has the MACs of `edgekit models`", macs, "", least=len(rows)),
    ]
    for one in arenas:
        off = 100 * abs(one["inspect"] / one["tflm"] - 1)
        name = one["file"].removesuffix(".tflite")
        claims.append(claim(f"{name}: arena of inspect beside TensorFlow Lite Micro's count", off, "%", most=10))
    if given.models == list(ZOO):
        save("counts", claims, {"networks": rows, "arenas": arenas}, measured_under)


if __name__ == "__main__":
    main()
