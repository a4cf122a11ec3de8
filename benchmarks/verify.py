"""The table of `edgekit verify`: the default model, EfficientNet-Lite0, and any other file, on every runtime at hand.

python benchmarks/verify.py --photos FOLDER --work FOLDER [MODEL.tflite=PRESET ...]

The default model is what `edgekit compress --model mobilenet` makes (hardly measured), EfficientNet-Lite0 has its
ImageNet weights and is calibrated on the photos; their files are made once and kept in the work folder. Every file is
verified on its golden vectors, seeded pictures and 16 of the photos. `edgekit runtime add tflite-runtime mediapipe tflm
browser` and `edgekit device setup emulated` first, for the whole table.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from record import claim, conditions, earlier, save

from edgekit.artifact import save_artifact
from edgekit.cli.verify_text import verify_text
from edgekit.data.dataset import load_data
from edgekit.exporting.export import export
from edgekit.models.zoo import build
from edgekit.pipeline import compress
from edgekit.preprocess import preset
from edgekit.recipe import load_recipe
from edgekit.verification.verify import verify


def made(work: Path, photos: Path) -> Iterator[Path]:
    """The files of the two networks, with their cards; each network is made when it is asked for."""
    jobs: dict[str, Callable[[Path], None]] = {
        "default": _default, "efficientnet_lite0": lambda folder: _lite0(folder, photos)
    }  # fmt: skip
    for name, job in jobs.items():
        if not (work / name / "done").exists():
            job(work / name)
            (work / name / "done").touch()
        yield from sorted((work / name).glob("*.tflite"))


def _default(folder: Path) -> None:
    hardly = {"bench.processes": 1, "bench.runs": 1, "bench.seconds": 0.0}
    made = compress(load_recipe(None, {"model.name": "mobilenet", **hardly}), out=folder / "run")
    for one in made.artifacts:
        save_artifact(folder / one.path.name, one.content, one.card)


def _lite0(folder: Path, photos: Path) -> None:
    prepared = preset("lite", 224, 224)
    data = load_data(None, preprocess=prepared, calibration=photos, calibration_images=100, training=False)
    model = build("efficientnet_lite0", classes=1000, input_shape=(224, 224, 3), weights="imagenet")
    export(model, folder, dataset=data, variants=("float32", "int8"), softmax=True)


def claims_of(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    asked = [one["status"] for one in found["runtimes"] if one["status"] not in ("first", "skipped", "failed")]
    return [
        claim(f"{name}: runtimes that gave the bits of LiteRT with XNNPACK, of {len(asked)}", asked.count("equal"), ""),
        claim(f"{name}: runtimes further apart than their arithmetic explains", asked.count("beyond"), "", most=0),
    ]


def keep(name: str, found: dict[str, Any], measured_under: dict[str, Any]) -> None:
    """Files that were verified before stay."""
    raw = earlier("verify", {})
    raw[name] = found
    save("verify", [one for name, found in raw.items() for one in claims_of(name, found)], raw, measured_under)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("others", nargs="*", metavar="MODEL.tflite=PRESET")
    arguments.add_argument("--photos", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    named = [(Path(one.rpartition("=")[0]), one.rpartition("=")[2]) for one in given.others]
    for path, how in chain(named, ((path, None) for path in made(given.work, given.photos))):
        found = verify(path, data=str(given.photos), preprocess=how)
        print(verify_text(found), flush=True)
        keep(path.stem, {**found.to_json(), "file": path.name}, measured_under)


if __name__ == "__main__":
    main()
