from typing import Any

import numpy as np
import pytest

from edgekit.compression.weight_patterns import KeepShared, KeepZeros, keep, keeping, shared_values, sparsity
from edgekit.models.backend import import_keras

keras = import_keras("Testing")


def network(depthwise: bool = False) -> Any:
    keras.utils.set_random_seed(1)
    image = keras.Input((6, 6, 8))
    kind = keras.layers.DepthwiseConv2D(3) if depthwise else keras.layers.Conv2D(12, 3)
    x = keras.layers.GlobalAveragePooling2D()(kind(image))
    model = keras.Model(image, keras.layers.Dense(10, name="logits")(x))
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), "mse")
    return model


def fitted(model: Any) -> Any:
    rng = np.random.default_rng(0)
    inputs, wanted = rng.normal(size=(96, 6, 6, 8)), rng.normal(size=(96, 10))
    model.fit(inputs.astype(np.float32), wanted.astype(np.float32), batch_size=16, epochs=3, verbose=0)
    return np.asarray(model.layers[1].kernel)


def with_kernel(kernel: np.ndarray, depthwise: bool = False) -> Any:
    model = network(depthwise)
    model.layers[1].kernel.assign(kernel)
    return model


def sparse() -> np.ndarray:
    kernel = np.asarray(network().layers[1].kernel).copy()
    kernel[np.abs(kernel) < np.quantile(np.abs(kernel), 0.6)] = 0
    return kernel


def shared(scale: np.ndarray) -> np.ndarray:
    """Each weight one of 7 multiples of `scale`, the largest of them in every channel."""
    values = np.float32([-1, -0.4, -0.1, 0, 0.2, 0.5, 1])
    cluster = np.random.default_rng(0).integers(len(values), size=(3, 3, 8, 12))
    cluster[0, 0, 0] = 6
    return (values[cluster] * scale).astype(np.float32)


def test_zeros_stay_zeros_and_the_others_learn() -> None:
    model = with_kernel(sparse())
    (note,) = keep(model)
    after = fitted(model)
    np.testing.assert_array_equal(after == 0, sparse() == 0)
    assert np.all(after[after != 0] != sparse()[after != 0])
    assert note.text == f"keeps its zeros, {sparsity(sparse()):.1%} of the weights"


@pytest.mark.parametrize("scale", [np.ones(12), np.linspace(0.5, 3, 12)], ids=["layer", "channel"])
def test_shared_values_stay_shared_and_learn(scale: np.ndarray) -> None:
    before = shared(scale)
    model = with_kernel(before)
    found = shared_values(model.layers[1])
    assert found is not None and len(found.values) == 7
    np.testing.assert_allclose(found.kernel(), before, rtol=1e-6)
    (note,) = keep(model)
    after = fitted(model)
    assert note.text.startswith("keeps its 7 values")
    np.testing.assert_array_equal(after == 0, before == 0)
    again = shared_values(model.layers[1])
    assert again is not None and len(again.values) == 7
    np.testing.assert_array_equal(again.cluster, found.cluster)
    learned = ~found.fixed
    assert learned.sum() == 4 and np.all(again.values[learned] != found.values[learned])


def test_a_shared_value_is_the_mean_of_its_members() -> None:
    found = shared_values(with_kernel(shared(np.ones(12))).layers[1])
    assert found is not None
    moved = found.kernel() + np.random.default_rng(1).normal(0, 0.01, (3, 3, 8, 12)).astype(np.float32)
    kept = np.asarray(KeepShared(found)(keras.ops.convert_to_tensor(moved)))
    for number in np.flatnonzero(~found.fixed):
        here = found.cluster == number
        np.testing.assert_allclose(kept[here], moved[here].mean(), rtol=1e-5)


def test_plain_kernels_have_no_pattern_and_untrained_zeros_are_none() -> None:
    assert keep(network()) == () and keep(network(depthwise=True)) == ()
    assert keep(with_kernel(np.zeros((3, 3, 8, 12)))) == ()


def test_a_small_kernel_of_few_values_shares_none() -> None:
    model = network(depthwise=True)  # 72 weights, a third of them alike
    kernel = np.resize(np.float32([1, 2, 3, 4, 5, 6]), (3, 3, 8, 1))
    model.layers[1].kernel.assign(kernel)
    assert shared_values(model.layers[1]) is None


def test_constraints_are_put_back() -> None:
    model = with_kernel(sparse())
    before = model.layers[1].kernel.constraint = keras.constraints.MaxNorm(9.0)
    with keeping(model) as kept:
        assert len(kept) == 1 and isinstance(model.layers[1].kernel.constraint, KeepZeros)
    assert model.layers[1].kernel.constraint is before
