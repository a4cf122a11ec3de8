import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression import positions
from edgekit.compression.fold import kernel_2d

CASES = {
    "same": layers.Conv2D(5, 3, padding="same"),
    "strided": layers.Conv2D(5, (3, 2), strides=2, padding="same"),
    "valid": layers.Conv2D(5, 3, strides=(2, 1)),
    "dilated": layers.Conv2D(5, 3, dilation_rate=2, padding="same"),
    "point": layers.Conv2D(5, 1),
    "depthwise": layers.DepthwiseConv2D(3, strides=2, padding="same"),
    "multiplied": layers.DepthwiseConv2D(5, depth_multiplier=2, padding="same"),
    "dense": layers.Dense(5),
}


@pytest.mark.parametrize("name", CASES)
def test_the_product_at_positions_is_what_the_layer_gives_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = CASES[name]
    monkeypatch.setattr(positions, "MOST", 50)
    generator = np.random.default_rng(0)
    chunks = [generator.normal(size=(n, 9, 8, 4)).astype(np.float32) for n in (3, 2)]
    outputs = np.concatenate([keras.ops.convert_to_numpy(layer(chunk)) for chunk in chunks])
    drawn = positions.draw(layer, chunks, generator)
    assert len(np.unique(drawn, axis=0)) == 50
    kernel = kernel_2d(layer, np.asarray(layer.kernel))
    given = positions.product(layer, positions.inputs_at(layer, chunks, drawn), kernel)
    sample, row, column = drawn.T
    flat = outputs.reshape(5, -1, 1, outputs.shape[-1]) if name == "dense" else outputs
    np.testing.assert_allclose(given, flat[sample, row, column], atol=1e-5)


def test_all_positions_where_there_are_few() -> None:
    layer = layers.Dense(3)
    layer.build((7, 4))
    drawn = positions.draw(layer, [np.zeros((7, 4), np.float32)], np.random.default_rng(0))
    assert drawn.tolist() == [[sample, 0, 0] for sample in range(7)]
