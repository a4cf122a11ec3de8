"""What a network costs without some channels, known before it is built."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.compression.channel_cost import macs_cost, params_cost
from edgekit.compression.channel_groups import channel_groups
from edgekit.compression.remove_channels import removed
from edgekit.errors import BadInput
from edgekit.models.count import count
from edgekit.models.zoo import build
from tests.compression.coupled import BODIES, network, some

ZOO = ("resnet8", "squeezenet", "lenet5", "mobilenet_v3_small")


@pytest.mark.parametrize("name", [*ZOO, *BODIES])
def test_it_is_what_is_counted_of_the_model_that_is_left(name: str) -> None:
    found = channel_groups(build(name, classes=10, input_shape=(32, 32, 3)) if name in ZOO else network(name))
    keep = some(found)
    kept = np.array([len(keep.get(group.name, range(group.size))) for group in found.groups])
    for counts, model in ((np.array([g.size for g in found.groups]), found.model), (kept, removed(found, keep))):
        assert macs_cost(found).of(counts) == count(model).macs
        assert params_cost(found).of(counts) == count(model).params == model.count_params()


def test_the_slope_is_what_one_channel_costs() -> None:
    found = channel_groups(network("residual"))
    counts = np.array([group.size for group in found.groups])
    for cost in (macs_cost(found), params_cost(found)):
        for number, slope in enumerate(cost.slope(counts)):
            one = np.eye(len(counts), dtype=int)[number]
            assert slope == pytest.approx((cost.of(counts + one) - cost.of(counts - one)) / 2, abs=1)


class Own(layers.Dense):
    """A kind that nothing is known of."""


def test_grouped_shared_and_unknown_layers() -> None:
    image = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 3, padding="same", use_bias=False)
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(shared(shared(image)))
    x = Own(2, name="own")(layers.Flatten()(layers.Conv2D(3, 1, name="plain")(x)))
    found = channel_groups(keras.Model(image, x))
    counts = np.array([group.size for group in found.groups])
    macs = macs_cost(found)
    assert macs.of(counts) == 2 * 64 * 9 * 16 + 36 * 9 * 2 * 8 + 36 * 24
    assert macs.uncounted == ("own",)
    assert params_cost(found).of(counts) == found.model.count_params()


def test_an_open_size_is_refused() -> None:
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image)))
    with pytest.raises(BadInput, match="MACs of conv depend on the input's size"):
        macs_cost(channel_groups(model))
