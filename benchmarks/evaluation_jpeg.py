"""Evaluation of JPEG files on an int8 file: speed against a plain loop, memory from 500 to 50,000 images.

python benchmarks/evaluation_jpeg.py FOLDER FILE [--preprocess raw] [--rounds 5]

FOLDER has class folders of JPEGs, FILE is an int8 ResNet-8 of 32-px images. Run by hand: neither is part of edgekit.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from default_job import watch
from PIL import Image
from record import claim, conditions, in_turn, ratio, save

from edgekit.data.dataset import load_images
from edgekit.data.images import normalize
from edgekit.evaluation.evaluate import evaluate
from edgekit.preprocess import Preprocess, preset
from edgekit.runtime.interpreter import open_model

SIZE = 32
FEW, MANY = 500, 50_000
PEAKS = 3


def one_by_one(file: Path, paths: list[Path], preprocess: Preprocess) -> np.ndarray:
    """What people write: decode with Pillow, normalize, invoke, one image after the other in one process."""
    loaded = open_model(file)
    answers = []
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))[None]
        answers.append(int(loaded.run(normalize(pixels, preprocess))[0].argmax()))
    return np.array(answers)


def peak_bytes(folder: Path, file: Path, name: str, count: int) -> int:
    """Of a process that evaluates so many images, the given ones again and again, and of its workers."""
    work = (
        "import sys, numpy as np\n"
        "from edgekit.data.dataset import load_images\n"
        "from edgekit.evaluation.evaluate import evaluate\n"
        "from edgekit.preprocess import preset\n"
        f"split = load_images(sys.argv[1], preset({name!r}, {SIZE}, {SIZE}))\n"
        f"found = evaluate(sys.argv[2], split.take(np.arange({count}) % len(split)))\n"
        "found.to_json()\n"
    )
    with subprocess.Popen([sys.executable, "-c", work, str(folder), str(file)]) as process:
        ended, peak = threading.Event(), [0]
        watcher = threading.Thread(target=watch, args=(process.pid, ended, peak))
        watcher.start()
        process.wait()
        ended.set()
        watcher.join()
    return peak[0]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--preprocess", default="raw")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    measured_under = conditions()
    look = preset(given.preprocess, SIZE, SIZE)
    split = load_images(given.folder, look)
    paths = [given.folder / name for name in split.names]
    answers: dict[str, np.ndarray] = {}
    works = {
        "evaluate": lambda: answers.update(ours=evaluate(given.file, split, look).predictions),
        "read and evaluate": lambda: evaluate(given.file, load_images(given.folder, look), look),
        "one by one": lambda: answers.update(theirs=one_by_one(given.file, paths, look)),
    }
    works["evaluate"]()  # starts the worker processes, which are kept
    seconds = in_turn(works, given.rounds)
    few, many = (
        statistics.median(peak_bytes(given.folder, given.file, given.preprocess, count) for _ in range(PEAKS))
        for count in (FEW, MANY)
    )  # of a few: when the workers start, and when the peak is looked at, is chance
    what = f"{len(split):,} JPEGs of {SIZE} px, int8 ResNet-8"
    claims = [
        claim(f"{what}: evaluate, against Pillow and one-by-one invoke",
              ratio(seconds["one by one"], seconds["evaluate"]), "x", least=1.8),
        claim(f"{what}: with the folder read and hashed first",
              ratio(seconds["one by one"], seconds["read and evaluate"]), "x"),
        claim(f"{what}: same prediction both ways", float((answers["ours"] == answers["theirs"]).mean()), "",
              least=0.999),
        claim(f"peak memory of all processes, {MANY:,} images over {FEW}", many / few, "x"),
        claim(f"memory of each image more (its pixels are {3 * SIZE * SIZE:,} bytes)", (many - few) / (MANY - FEW),
              "bytes", most=1000),
    ]  # fmt: skip
    save("evaluation_jpeg", claims, {"seconds": seconds, "peak_bytes": {FEW: few, MANY: many}}, measured_under)


if __name__ == "__main__":
    main()
