"""Our exports in MediaPipe Tasks' ImageClassifier, beside our own interpreter, on photos.

python -m venv /somewhere/mp && /somewhere/mp/bin/pip install mediapipe
python benchmarks/mediapipe_top1.py PHOTOS --python /somewhere/mp/bin/python --mlperf FOLDER [--images 100]

PHOTOS is a folder of photos, whatever is on them: it is agreement that is counted. EfficientNet-Lite0 is exported as
float32 and as int8 with uint8 input and output, calibrated on these photos. FOLDER holds MLPerf Tiny's models: the
.tflite files are given metadata as by `edgekit metadata set`, and the .h5 files are exported like EfficientNet-Lite0.
What MediaPipe refuses is kept with what it says, and has to be what `edgekit metadata show` says it refuses; all else
is asked three ways:

same pixels: MediaPipe is given the picture that edgekit has cropped and resized, and has nothing to resize;
its resize reproduced: MediaPipe is given the photo, which is resized for our interpreter as MediaPipe does it;
as they come: MediaPipe is given the photo, edgekit prepares it as the model was trained.

MediaPipe stretches the whole photo by cv::warpPerspective with INTER_LINEAR (image_to_tensor_converter_opencv.cc):
it reads two by two pixels from the upper left corner of each target pixel on, not around its middle, and averages over
none of the pixels in between. A network that was trained on antialiased pictures sees others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import claim, conditions, save

import edgekit as ek
from edgekit.data.images import SUFFIXES, decode, normalize, resize
from edgekit.evaluation.metrics import a_score_a_class
from edgekit.preprocess import Preprocess
from edgekit.runtime.interpreter import open_model

# Runs where MediaPipe is installed: [[index and score of every class]] of each picture, in the order of the model.
ASK = """
import json, sys
from mediapipe import Image
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageClassifier, ImageClassifierOptions
import mediapipe
asked = json.load(sys.stdin)
options = ImageClassifierOptions(BaseOptions(model_asset_path=asked["model"]), max_results=-1)
try:
    classifier = ImageClassifier.create_from_options(options)
except (RuntimeError, ValueError) as refused:
    print(json.dumps({"version": mediapipe.__version__, "refused": str(refused)}))
    sys.exit()
with classifier:
    scores = []
    for path in asked["pictures"]:
        found = classifier.classify(Image.create_from_file(path)).classifications[0].categories
        row = [0.0] * len(found)
        for one in found:
            row[one.index] = one.score
        scores.append(row)
print(json.dumps({"version": mediapipe.__version__, "scores": scores}))
"""
# MLPerf Tiny's files: how their pictures are prepared, and their classes.
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MLPERF = {"pretrainedResnet": ("raw", OBJECTS), "vww_96": ("unit", ("no person", "person"))}


def ask(python: str, model: Path, pictures: Sequence[Path]) -> dict[str, Any]:
    """MediaPipe's `version`, and `scores` [n, classes], or why the file is `refused`."""
    request = json.dumps({"model": str(model), "pictures": [str(one) for one in pictures]})
    ended = subprocess.run([python, "-I", "-c", ASK], input=request, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"MediaPipe fails on {model}: {ended.stderr.strip().splitlines()[-1]}")
    answer: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return answer


def ours(model: Path, pictures: Sequence[np.ndarray], look: Preprocess) -> np.ndarray:
    """Scores [n, classes] of pictures of the model's size."""
    opened = open_model(model)
    rows = [opened.run(normalize(one[None], look))[0].reshape(1, -1) for one in pictures]
    return a_score_a_class(np.concatenate(rows))


def as_mediapipe(image: np.ndarray, look: Preprocess) -> np.ndarray:
    """uint8 [h, w, 3] -> [height, width, 3]; places are multiples of 1/32 of a pixel, as OpenCV has them."""
    (top, bottom, down), (left, right, across) = (
        _corners(size, target) for size, target in zip(image.shape, (look.height, look.width), strict=False)
    )
    down, across = down[:, None, None], across[None, :, None]
    upper, lower = (image[rows][:, left] * (1 - across) + image[rows][:, right] * across for rows in (top, bottom))
    return np.floor(upper * (1 - down) + lower * down + 0.5).astype(np.uint8)


def _corners(size: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    place = np.round(np.arange(target) * (size / target) * 32) / 32
    first = np.floor(place).astype(int)
    return np.minimum(first, size - 1), np.minimum(first + 1, size - 1), place - first


def exported(photos: Path, folder: Path) -> list[Path]:
    made = ek.compress(model="efficientnet_lite0", weights="imagenet", epochs=0, calibration=str(photos),
                       variants=["float32", "int8"], io="uint8", out=folder)  # fmt: skip
    return [one.path for one in made.artifacts]


def described(folder: Path, place: Path) -> list[Path]:
    """MLPerf Tiny's .tflite files with metadata."""
    place.mkdir()
    found = []
    for name, (look, labels) in MLPERF.items():
        changes = ek.Changes(preprocess=look, labels=labels, output_meaning="probabilities")
        found += [ek.set_metadata(one, changes, place / one.name) for one in sorted(folder.glob(f"{name}*.tflite"))]
    return found


def exported_again(folder: Path, photos: Path, place: Path) -> list[Path]:
    """MLPerf Tiny's Keras models as int8 with uint8 input and output, under their own names."""
    found = []
    for name, (look, _) in MLPERF.items():
        made = ek.compress(model=str(folder / f"{name}.h5"), epochs=0, calibration=str(photos), preprocess=look,
                           variants=["int8"], io="uint8", out=place / name)  # fmt: skip
        found += [one.path for one in made.artifacts if one.card.io == "uint8"]
    return found


def saved(pictures: Sequence[np.ndarray], folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:04d}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return paths


def compared(python: str, model: Path, photos: Sequence[Path], folder: Path) -> tuple[list[dict[str, Any]], Any]:
    about = ek.describe(model)
    contract = about.embedded.contract
    assert contract is not None and contract.preprocessing is not None, f"{model} says nothing of its preprocessing"
    look = contract.preprocessing
    whole = [decode(one) for one in photos]
    prepared, stretched = ([work(one, look) for one in whole] for work in (resize, as_mediapipe))
    # MediaPipe decodes no photo here: another JPEG decoder is another picture.
    given = {"same": saved(prepared, folder / "same"), "photos": saved(whole, folder / "photos")}
    ways = {
        "same pixels": (given["same"], prepared),
        "its resize reproduced": (given["photos"], stretched),
        "as they come": (given["photos"], prepared),
    }
    claims: list[dict[str, Any]] = []
    raw: dict[str, Any] = {}
    first = ask(python, model, given["same"][:1])
    refused, foretold = first.get("refused"), list(about.refused_by_mediapipe)
    if refused or foretold:
        agreed = float(bool(refused) and bool(foretold))
        claims.append(claim(f"MediaPipe refuses {model.stem}, as edgekit foretells", agreed, "", least=1))
        return claims, {"mediapipe": first["version"], "refused": refused, "edgekit": foretold}
    for way, (pictures, seen) in ways.items():
        answer = ask(python, model, pictures)
        version, theirs = answer["version"], np.array(answer["scores"])
        mine = ours(model, seen, look)
        same = int((theirs.argmax(axis=1) == mine.argmax(axis=1)).sum())
        apart = float(np.abs(theirs - mine).max())
        least = len(photos) if way == "same pixels" else None
        claims.append(
            claim(f"MediaPipe and edgekit, {model.stem}, {way}: same top-1 of {len(photos)}", same, "", least=least)
        )
        claims.append(claim(f"MediaPipe and edgekit, {model.stem}, {way}: largest difference of a score", apart, ""))
        differ = [photos[i].name for i in np.flatnonzero(theirs.argmax(axis=1) != mine.argmax(axis=1))]
        raw[way] = {"mediapipe": version, "same": same, "n": len(photos), "max_abs": apart, "differ": differ}
    return claims, raw


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--python", required=True, help="of an environment that has mediapipe")
    arguments.add_argument("--mlperf", type=Path, required=True)
    arguments.add_argument("--images", type=int, default=100)
    given = arguments.parse_args()
    photos = sorted(one for one in given.photos.iterdir() if one.suffix.lower() in SUFFIXES)[: given.images]
    measured_under = conditions()
    claims: list[dict[str, Any]] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        models = [
            *exported(given.photos, place / "run"), *described(given.mlperf, place / "mlperf"),
            *exported_again(given.mlperf, given.photos, place / "again"),
        ]  # fmt: skip
        for model in models:
            pictures = Path(tempfile.mkdtemp(dir=folder))
            found, raw[model.name] = compared(given.python, model.resolve(), photos, pictures)
            claims += found
    save("mediapipe_top1", claims, raw, measured_under)


if __name__ == "__main__":
    main()
