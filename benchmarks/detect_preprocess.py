"""edgekit detect-preprocess on models whose preprocessing is known, from 50 images each.

python benchmarks/detect_preprocess.py PHOTOS CIFAR [--epochs 4] [--images 50]

PHOTOS: a folder of ImageNet photos called NUMBER_WORDNETID.jpg, for EfficientNet-Lite0 with its published weights.
CIFAR: a folder of class folders, or with train/ and test/. Five networks of the zoo are trained on it, each with its
own preprocessing, at another size than the images have. All files are exported, then stripped of their metadata.

A claim is met where the right preprocessing is among those that the images do not tell apart and the scaling and the
order of the channels, up to those that are the same within half a grey level (tf and lite), are named.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from record import claim, conditions, save

import edgekit as ek
from edgekit.evaluation.detect import Detection
from edgekit.preprocess import Preprocess
from edgekit.runtime.flatbuffer import without_metadata

TRAINED = {
    "resnet8": "raw",
    "mobilenet_v2": "tf",
    "three_conv": "unit",
    "resnet20": "imagenet",
    "lenet5": "caffe",
}
NEAR = {"lite": "tf"}  # (x - 127) / 128 and (x - 127.5) / 127.5: no image tells them apart


def bare(artifact: Any, folder: Path) -> Path:
    path = folder / artifact.path.name
    path.write_bytes(without_metadata(artifact.content))
    return path


def class_folders(photos: Path, folder: Path) -> Path:
    for photo in sorted(photos.glob("*_n*.jpg")):
        place = folder / photo.stem.split("_")[1]
        place.mkdir(parents=True, exist_ok=True)
        (place / photo.name).write_bytes(photo.read_bytes())
    return folder


def judged(name: str, found: Detection, truth: Preprocess, scaling: str) -> tuple[dict[str, Any], dict[str, Any]]:
    tied = [one.candidate for one in found.ranked if not one.told_apart]
    right = any(one.scaling == scaling and _geometry(one.preprocess) == _geometry(truth) for one in tied)
    best = found.chosen.candidate
    named = NEAR.get(best.scaling, best.scaling) == NEAR.get(scaling, scaling)
    met = right and named and best.preprocess.channels == truth.channels
    said = claim(f"{name}, trained with {scaling}: the right one is named", float(met), "", least=1)
    return said, {"truth": truth.model_dump(mode="json"), "scaling": scaling, **found.to_json()}


def _geometry(look: Preprocess) -> tuple[Any, ...]:
    return look.channels, look.resize, look.antialias, look.crop


def lite(photos: Path, folder: Path) -> tuple[Path, Path, Preprocess]:
    images = class_folders(photos, folder / "photos")
    made = ek.compress(model="efficientnet_lite0", weights="imagenet", epochs=0, calibration=str(photos),
                       variants=["float32"], out=folder / "lite0")  # fmt: skip
    (artifact,) = made.artifacts
    return bare(artifact, folder), images, artifact.card.preprocessing


def trained(name: str, look: str, data: Path, folder: Path, epochs: int, size: int) -> tuple[Path, Preprocess]:
    alpha = 0.35 if name == "mobilenet_v2" else None
    made = ek.compress(
        "mobilenet-int8", model=name, alpha=alpha, data=str(data), image_size=size, preprocess=look, epochs=epochs,
        optimizer="adamw", learning_rate=2e-3, variants=["float32"], max_drop_points=100.0, out=folder / name,
    )  # fmt: skip
    (artifact,) = made.artifacts
    return bare(artifact, folder), artifact.card.preprocessing


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("cifar", type=Path)
    arguments.add_argument("--epochs", type=int, default=4)
    arguments.add_argument("--images", type=int, default=50)
    arguments.add_argument("--size", type=int, default=24)
    given = arguments.parse_args()
    measured_under = conditions()
    claims: list[dict[str, Any]] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file, images, truth = lite(given.photos, folder)
        found = ek.detect_preprocess(file, images, images=given.images)
        said, raw["efficientnet_lite0"] = judged("efficientnet_lite0", found, truth, "lite")
        claims.append(said)
        for name, look in TRAINED.items():
            file, truth = trained(name, look, given.cifar, folder, given.epochs, given.size)
            found = ek.detect_preprocess(file, given.cifar, images=given.images)
            said, raw[name] = judged(name, found, truth, look)
            claims.append(said)
            print(name, look, "->", found.chosen.candidate.scaling, found.undecided, flush=True)
    save("detect_preprocess", claims, raw, measured_under)


if __name__ == "__main__":
    main()
