"""An epoch that is fed as edgekit feeds it, against one that is given a keras.utils.PyDataset, in turns.

python benchmarks/feeding.py [--rounds 3]

At the end of what Keras makes of a PyDataset, TensorFlow waits for a thread that sleeps 10, 20, 40 ms and so on: how
long depends on how long the epoch took, which is why epochs of several lengths are trained.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from typing import Any

import numpy as np
from record import claim, conditions, in_turn, ratio, save
from small_networks import network

from edgekit.data.dataset import load_data
from edgekit.models.backend import import_keras
from edgekit.preprocess import preset
from edgekit.train_config import Augment, Train
from edgekit.training.augment import Augmenter
from edgekit.training.batches import TrainBatches, stream
from edgekit.training.learner import compile_model
from edgekit.training.optimizer import make_optimizer

IMAGES = (200, 300, 400, 500, 700, 900, 1200)
BATCH = 4


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    import_keras("This benchmark")
    split = load_data("digits", preprocess=preset("tf", 32, 32)).train
    model, config = network("early_stride"), Train()
    compile_model(model, config, make_optimizer(config, model.trainable_variables))

    def fit(images: int, feed: Any) -> None:
        some = split.take(np.arange(images))
        batches = TrainBatches(some, BATCH, Augmenter(Augment()), np.ones(10, np.float32), 0, 0)
        model.fit(feed(batches), verbose=0, shuffle=False)

    fit(8, stream)  # the step is traced
    fit(8, lambda batches: batches)
    seconds = {}
    for images in IMAGES:
        works = {"stream": lambda n=images: fit(n, stream), "PyDataset": lambda n=images: fit(n, lambda one: one)}
        seconds[images] = in_turn(works, given.rounds)
    ratios = {images: ratio(found["PyDataset"], found["stream"]) for images, found in seconds.items()}
    lengths = [statistics.median(found["stream"]) for found in seconds.values()]
    about = f"epochs of {min(lengths):.1f} to {max(lengths):.1f} s, a PyDataset over edgekit's feed"
    claims = [claim(f"{about}: mean of {len(IMAGES)} lengths", statistics.mean(ratios.values()), "x", least=1.1),
              claim(f"{about}: at worst for the PyDataset", max(ratios.values()), "x"),
              claim(f"{about}: at best for it", min(ratios.values()), "x")]  # fmt: skip
    save("feeding", claims, {"seconds": seconds, "ratios": ratios}, measured_under)


if __name__ == "__main__":
    main()
