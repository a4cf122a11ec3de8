"""Latency of what a model becomes, told in terms of the first one that was measured."""

from pathlib import Path
from typing import Any

from edgekit.artifact import write_bytes
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.models.backend import import_keras
from edgekit.recipe import Bench
from edgekit.stopwatch import Stopwatch

keras = import_keras("Testing")


def convolutions(filters: int) -> Any:
    layers = [keras.layers.Conv2D(filters, 3, padding="same") for _ in range(4)]
    return keras.Sequential([keras.Input((48, 48, 3)), *layers, keras.layers.GlobalAveragePooling2D()])


def written(model: Any, folder: Path) -> Path:
    path = folder / "model.tflite"
    write_bytes(path, convert(freeze(model, softmax=False), "float32"))
    return path


def test_a_network_of_a_fraction_of_the_work_takes_less_time() -> None:
    watch = Stopwatch(written, Bench(processes=1, runs=20, seconds=0.05))
    large, small = convolutions(64), convolutions(8)
    first = watch(large)
    assert first > 0 and watch(small) < 0.7 * first
