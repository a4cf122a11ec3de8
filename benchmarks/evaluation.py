"""Evaluation throughput: 10,000 32-px images through the default int8 file, decoding included.

python benchmarks/evaluation.py [--images 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import claim, conditions, in_turn, ratio, save, timed

from edgekit.data.dataset import load_data, load_images
from edgekit.evaluation.evaluate import evaluate
from edgekit.exporting.export import Exporter
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.runtime.interpreter import find_runtime

SIZE = 32
PREDICTED = 200  # images through model.predict one by one; 10,000 would take minutes and tell no more


def write_images(folder: Path, count: int) -> list[Path]:
    """`count` PNGs of noisy digits in class folders, all different."""
    data = load_data("digits", preprocess=preset("raw", SIZE, SIZE))
    generator = np.random.default_rng(0)
    pixels = data.train.read(range(len(data.train))).astype(np.int16)
    paths = []
    for number in range(count):
        index = number % len(pixels)
        noisy = np.clip(pixels[index] + generator.integers(-20, 21, pixels[index].shape), 0, 255).astype(np.uint8)
        path = folder / data.class_names[data.train.labels[index]] / f"{number:05d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noisy).save(path)
        paths.append(path)
    return sorted(paths, key=lambda p: (p.parent.name, p.name))


def one_by_one(content: bytes, paths: list[Path]) -> np.ndarray:
    """What people write: decode, normalize, set_tensor, invoke, in one process."""
    kind, _ = find_runtime()
    interpreter = kind(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    predictions = []
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32)[None]
        interpreter.set_tensor(source, pixels / 127.5 - 1)
        interpreter.invoke()
        predictions.append(int(interpreter.get_tensor(sink).argmax()))
    return np.array(predictions)


def keras_one_by_one(model: Any, paths: list[Path]) -> None:
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32)[None]
        model.predict(pixels / 127.5 - 1, verbose=0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    measured_under = conditions()
    import_keras("This benchmark").utils.set_random_seed(0)
    model = build("mobilenet_v2", classes=10, input_shape=(SIZE, SIZE, 3), alpha=0.35)
    data = load_data("digits", preprocess=preset("tf", SIZE, SIZE))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images"
        folder.mkdir()
        paths = write_images(folder, given.images)
        file = Exporter(model, data).write(Path(name), "int8").artifact
        split = load_images(folder, data.preprocess, data.class_names)
        answers: dict[str, np.ndarray] = {}
        works = {
            "edgekit.evaluate": lambda: answers.update(ours=evaluate(file, split, data.preprocess).predictions),
            "one by one": lambda: answers.update(theirs=one_by_one(file.content, paths)),
        }
        works["edgekit.evaluate"]()  # starts the worker processes, which are kept
        seconds = in_turn(works, given.rounds)
        keras_one_by_one(model, paths[:2])
        predicted = timed(lambda: keras_one_by_one(model, paths[:PREDICTED]))[0] / PREDICTED * given.images
    same = float((answers["ours"] == answers["theirs"]).mean())
    claims = [
        claim("evaluate, against one-by-one invoke in one process", ratio(seconds["one by one"],
                                                                          seconds["edgekit.evaluate"]), "x", least=1.8),
        claim("evaluate, against model.predict one by one",
              predicted / sorted(seconds["edgekit.evaluate"])[given.rounds // 2], "x", least=20),
        claim("images with the same prediction both ways", same, "", least=0.999),
        claim("images a second", given.images / sorted(seconds["edgekit.evaluate"])[given.rounds // 2], "/s"),
    ]  # fmt: skip
    save("evaluation", claims, {**seconds, "model.predict, extrapolated": predicted}, measured_under)


if __name__ == "__main__":
    main()
