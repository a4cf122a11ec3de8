"""What a model becomes, measured on the device that a step aims at: latency in terms of the first one, instructions."""

from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact import write_bytes
from edgekit.errors import UsageError
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.models.backend import import_keras
from edgekit.recipe import Bench
from edgekit.step_config import Step
from edgekit.stopwatch import Stopwatch, meter, require_devices
from tests.measurement.devices.conftest import device, server, user  # noqa: F401 - fixtures
from tests.measurement.emulated.test_count import emulated
from tests.measurement.test_place import added  # noqa: F401 - a fixture

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


def test_on_a_device_that_was_added(added) -> None:  # noqa: F811
    before = len(added.connections)
    watch = meter(written, Bench(processes=1, runs=20, seconds=0.05), "pi")
    large, small = convolutions(64), convolutions(8)
    first = watch(large)
    assert first > 0 and watch(small) < 0.7 * first
    assert len(added.connections) == before + 2  # the second model beside the first, over one


@pytest.mark.pi
@emulated
def test_instructions_of_an_emulated_board() -> None:
    """Four convolutions 3x3: 12,096 + 3 * 36,864 weights at 2,304 places, or 216 + 3 * 576 where it is one eighth."""
    count = meter(written, Bench(), "rpi4:emulated")
    large, small = count(convolutions(64)), count(convolutions(8))
    assert large > 20 and 0.01 < small / large < 0.1


def channels(**config: Any) -> tuple[Step, ...]:
    return (Step.model_validate({"channels": config}),)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"latency": 0.5, "device": "pie"}, "Unknown device 'pie'"),
        ({"latency_ms": 5, "device": "rpi4:emulated"}, "rpi4:emulated has no latency"),
        ({"instructions": 0.5, "device": "cpu"}, "instructions are counted on emulated boards, and cpu is none"),
        ({"instructions": 0.5, "device": "rpi3:emulated"}, "rpi3"),
    ],
)
def test_a_device_that_does_not_measure_what_is_wanted(config: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        require_devices(channels(**config))


def test_devices_that_do() -> None:
    require_devices((*channels(), *channels(latency=0.5), *channels(latency_ms=5, device="gpu"), Step(prune={})))
