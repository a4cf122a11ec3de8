"""The grid of steps: what a cell is, and each step on two networks."""

import numpy as np
import pytest


def test_every_step_that_makes_networks_smaller_is_a_method() -> None:
    from steps_grid import METHODS

    named = {name for steps in METHODS.values() for step in steps for name in step}
    assert named == {"prune", "channels", "cluster", "quantize_aware"}


def test_two_of_four_are_counted_along_the_input_channels() -> None:
    from steps_grid import two_of_four

    weights = np.zeros((2, 3, 3, 6), np.int8)
    weights[..., 1] = weights[..., 3] = weights[..., 4] = 7
    assert two_of_four(weights)
    weights[1, 2, 2, 0] = 1
    assert not two_of_four(weights)
    assert two_of_four(weights[..., :3]) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "resnet8"])
def test_every_step_on_two_networks(name: str) -> None:
    """Targets are reached, the int8 file says what the model says, and its weights are as sparse and as few."""
    from steps_grid import complaints, measure

    methods = ("channels 30 %", "2:4, cluster, then QAT")  # every step is in one of them
    found = measure(name, methods, images=30)["methods"]
    for method in methods:
        assert [one for one in complaints(method, found[method]) if not one.startswith("agreement")] == []
        assert found[method]["agreement"] >= 0.95
    sparse = found[methods[1]]
    assert all(sparse["two_of_four"]) and sparse["two_of_four"]
    assert sparse["most_values_a_channel"] <= 17  # a zero that was pruned is kept beside the 16
