"""The grid of quantization-aware training: what a cell is, and each kind of network at two blocks a stage."""

import os
from dataclasses import replace

import pytest

from edgekit.models.zoo import ZOO, build

ALIKE = {  # no kind of block that rows that are cells do not have
    *(f"efficientnet_b{number}" for number in range(1, 8)),
    *(f"efficientnet_lite{number}" for number in range(5)),
    "mobilenet_v1", "mobilenet_v3_small_minimalistic", "mobilenet_v3_large", "mobilenet_v3_large_minimalistic",
    "resnet20", "resnet56",
    "resnet34", "resnet101", "resnet152", "resnet50", "resnet50_v2",  # keras.applications has the last two
}  # fmt: skip
SHAPE = (32, 32, 3)


def convolutions(name: str) -> int:
    return sum(type(layer).__name__.endswith("Conv2D") for layer in build(name, classes=2, input_shape=SHAPE).layers)


def test_every_kind_of_network_of_the_zoo_is_a_cell() -> None:
    from grid import CELLS

    assert {name for name in CELLS if not name.startswith("keras:")} == set(ZOO) - ALIKE


def test_two_blocks_a_stage_and_the_tables_are_whole_again() -> None:
    from grid import shortened

    names = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_lite0", "resnet50", "resnet20")
    whole = [convolutions(name) for name in names]
    with pytest.raises(ZeroDivisionError), shortened(2):
        # Counted by hand from the tables: 2 of the 3 or more blocks of a stage.
        assert [convolutions(name) for name in names] == [19, 37, 46, 37, 29, 15]
        raise ZeroDivisionError
    assert [convolutions(name) for name in names] == whole


# One of every family, and of its blocks the kind that is hardest in int8.
FAMILIES = {
    "mobilenet": "mobilenet_v2",
    "mobilenet_v3": "mobilenet_v3_small",
    "efficientnet": "efficientnet_b0",
    "resnet": "resnet8",
    "resnet_imagenet": "resnet50_v2",
    "classics": "squeezenet",
}


def test_the_families_are_all_there() -> None:
    assert set(FAMILIES) == {row.family for row in ZOO.values()}
    assert all(ZOO[name].family == family for family, name in FAMILIES.items())


# Minutes each on two cores: the hardest blocks and the plainest; EDGEKIT_FAMILIES=all takes every one of the table.
HERE = FAMILIES.values() if os.environ.get("EDGEKIT_FAMILIES") == "all" else ("mobilenet_v3_small", "resnet8")


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_quantization_aware_training_of_every_family(name: str) -> None:
    """At two blocks a stage: nothing left in float, and the file says what the model says."""
    from grid import CELLS, Cell, measure

    cell = replace(CELLS.get(name, Cell(72)), float_batch=16, batch=16, float_epochs=3, epochs=1)
    small = cell if cell.size > 32 else replace(cell, size=16)  # twice the digits' own size is enough
    found = measure(name, small, blocks=2, images=50)
    assert found["float_ops"] == []
    assert found["agreement"] >= 0.95
