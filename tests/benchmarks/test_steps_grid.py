"""The grid of steps: what a cell is, and each step on two networks."""

import pytest


def test_every_step_that_makes_networks_smaller_is_a_method() -> None:
    from steps_grid import METHODS

    named = {name for steps in METHODS.values() for step in steps for name in step}
    assert named == {"prune", "channels", "cluster", "quantize_aware"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "resnet8"])
def test_every_step_on_two_networks(name: str) -> None:
    """Targets are reached, the int8 file says what the model says, and its weights are as sparse and as few."""
    from steps_grid import METHODS, complaints, measure

    methods = ("channels 30 %", "2:4, cluster, then QAT")  # every step is in one of them
    found = measure(name, {method: METHODS[method] for method in methods}, images=30)["methods"]
    for method in methods:
        assert [one for one in complaints(method, found[method]) if not one.startswith("agreement")] == []
        assert found[method]["agreement"] >= 0.95


@pytest.mark.slow
def test_corrected_biases_are_a_step_behind_those_of_a_cell() -> None:
    from corrected import ways
    from steps_grid import measure

    found = measure("lenet5", ways("cluster 16"), images=30)["methods"]
    assert [len(found[way]["reports"]) for way in ("calibrated", "biases corrected")] == [1, 2]
    assert all(one["weights"]["distinct_a_channel"] <= 17 for one in found.values())
    assert found["biases corrected"]["sqnr_db"] >= found["calibrated"]["sqnr_db"]
