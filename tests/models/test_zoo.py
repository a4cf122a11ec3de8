"""Every row of the zoo: parameters exactly, MACs within 0.5 %, the sides of the maps, the outputs and the weights."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from edgekit.models.count import count
from edgekit.models.zoo import ZOO, build

HALVED = (112, 56, 28, 14, 7)


@dataclass(frozen=True)
class Known:
    """What is known of a model at a size in px: `params` as Keras counts them, the sides of its maps in order.

    EfficientNet-B has 7 parameters fewer than in keras.applications, whose graph holds a Normalization.
    """

    name: str
    size: int
    classes: int
    params: int
    macs: float
    sides: tuple[int, ...]
    alpha: float | None = None
    deployed: int | None = None


KNOWN = [
    # Parameters: keras.io. MACs: of the papers' networks, in REQUIREMENTS; of Large minimalistic: 209 M in the
    # documentation of keras.applications; of Small minimalistic: those of the same network there.
    Known("mobilenet_v1", 224, 1000, 4_253_864, 568.7e6, HALVED, deployed=4_221_032),
    Known("mobilenet_v2", 224, 1000, 3_538_984, 300.8e6, HALVED, deployed=3_487_816),
    Known("mobilenet_v3_small", 224, 1000, 2_554_968, 56.5e6, HALVED),
    Known("mobilenet_v3_small_minimalistic", 224, 1000, 2_056_848, 52.29e6, HALVED),
    Known("mobilenet_v3_large", 224, 1000, 5_507_432, 216.6e6, HALVED),
    Known("mobilenet_v3_large_minimalistic", 224, 1000, 3_948_688, 209e6, HALVED),
    # The README of EfficientNet-Lite rounds to 4.7, 5.4, 6.1, 8.2 and 13.0 M parameters, without moving statistics;
    # its multiply-adds count normalization too. These are computed from its block strings, below.
    Known("efficientnet_lite0", 224, 1000, 4_694_024, 385.2e6, HALVED),
    Known("efficientnet_lite1", 240, 1000, 5_470_344, 600.2e6, (120, 60, 30, 15, 8)),
    Known("efficientnet_lite2", 260, 1000, 6_150_168, 859.7e6, (130, 65, 33, 17, 9)),
    Known("efficientnet_lite3", 280, 1000, 8_273_768, 1383.3e6, (140, 70, 35, 18, 9)),
    Known("efficientnet_lite4", 300, 1000, 13_118_936, 2553.0e6, (150, 75, 38, 19, 10)),
    Known("efficientnet_b0", 224, 1000, 5_330_571 - 7, 386e6, HALVED),
    Known("efficientnet_b1", 240, 1000, 7_856_239 - 7, 686.8e6, (120, 60, 30, 15, 8)),
    Known("efficientnet_b2", 260, 1000, 9_177_569 - 7, 993.6e6, (130, 65, 33, 17, 9)),
    Known("efficientnet_b3", 300, 1000, 12_320_535 - 7, 1827.1e6, (150, 75, 38, 19, 10)),
    Known("efficientnet_b4", 380, 1000, 19_466_823 - 7, 4.39e9, (190, 95, 48, 24, 12)),
    Known("efficientnet_b5", 456, 1000, 30_562_527 - 7, 10_266e6, (228, 114, 57, 29, 15)),
    Known("efficientnet_b6", 528, 1000, 43_265_143 - 7, 19_068e6, (264, 132, 66, 33, 17)),
    Known("efficientnet_b7", 600, 1000, 66_658_687 - 7, 37.7e9, (300, 150, 75, 38, 19)),
    # torchvision: 11,689,512 and 21,797,672 parameters without moving statistics (2 for each of 4,800 and 8,512
    # normalized channels), 1.814 and 3.664 GMACs.
    Known("resnet18", 224, 1000, 11_689_512 + 2 * 4800, 1.814e9, HALVED),
    Known("resnet34", 224, 1000, 21_797_672 + 2 * 8512, 3.664e9, HALVED),
    Known("resnet50", 224, 1000, 25_636_712, 3.86e9, HALVED),
    Known("resnet101", 224, 1000, 44_707_176, 7.57e9, HALVED),
    Known("resnet152", 224, 1000, 60_419_944, 11.28e9, HALVED),
    Known("resnet50_v2", 224, 1000, 25_613_800, 3.482e9, HALVED),
    # MLPerf Tiny's visual wake words and image classification networks.
    Known("mobilenet_v1", 96, 2, 219_058, 7.49e6, (48, 24, 12, 6, 3), alpha=0.25, deployed=210_850),
    Known("resnet8", 32, 10, 78_714, 12.50e6, (32, 16, 8), deployed=77_706),
    # He et al. 2015, table 6, has 0.27 and 0.85 M; ours have two projections more. 6n+2 layers of 2.36 M MACs each.
    Known("resnet20", 32, 10, 274_042, 18 * 2_359_296 - 2 * 1_179_648 + 442_368 + 262_144 + 640, (32, 16, 8)),
    Known("resnet56", 32, 10, 860_026, 54 * 2_359_296 - 2 * 1_179_648 + 442_368 + 262_144 + 640, (32, 16, 8)),
    # 6 5x5 filters at 28 px, 16 at 10 px, and three dense layers; 61,706 parameters on gray images, as published.
    Known("lenet5", 32, 10, 62_006, 6 * 75 * 28**2 + 16 * 150 * 10**2 + 400 * 120 + 120 * 84 + 840, (28, 14, 10, 5)),
    # torchvision: 61,100,840 and 1,235,496 parameters, 714 and 349 M MACs; SqueezeNet's classifier costs 512,000 here,
    # not that at each of 13x13 pixels.
    Known("alexnet", 224, 1000, 61_100_840, 714.2e6, (55, 27, 13, 6), deployed=61_100_840),
    Known("squeezenet", 224, 1000, 1_235_496, 349.15e6 - 168 * 512_000, (111, 55, 27, 13)),
    Known("three_conv", 32, 10, 29_402, 432 * 32**2 + 4608 * 16**2 + 23_040 * 8**2 + 800, (32, 16, 8), deployed=29_018),
    # The default job: the small-input stem leaves a 4x4 map.
    Known("mobilenet_v2", 32, 10, 423_018, 15.61e6, (32, 16, 8, 4), alpha=0.35, deployed=401_898),
]


@pytest.mark.parametrize("known", KNOWN, ids=lambda k: f"{k.name}-{k.alpha}-{k.size}")
def test_params_macs_and_sides_of_the_maps(known: Known) -> None:
    with keras.StatelessScope(initialize_variables=False):  # shapes without memory: B7 in a second
        model = build(known.name, classes=known.classes, input_shape=(known.size, known.size, 3), alpha=known.alpha)
    cost = count(model)
    assert cost.params == model.count_params() == known.params
    assert known.deployed in (None, cost.deployed_params)
    assert cost.macs == pytest.approx(known.macs, rel=0.005)
    shapes = [layer.output.shape for layer in model.layers[1:] if not isinstance(layer, keras.layers.ZeroPadding2D)]
    sides = sorted({tuple(shape[1:3]) for shape in shapes if len(shape) == 4 and shape[1] > 1}, reverse=True)
    assert sides == [(side, side) for side in known.sides]
    assert cost.final_map == sides[-1]
    assert model.output_shape == (None, known.classes) and model.input_shape == (None, known.size, known.size, 3)


def test_the_table_of_knowns_covers_the_zoo() -> None:
    assert {known.name for known in KNOWN} == set(ZOO)


# R1. The authors' block strings (tensorflow/tpu): repeats, kernel, stride, expansion, input and output channels.
BLOCKS = "r1_k3_s1_e1_i32_o16 r2_k3_s2_e6_i16_o24 r2_k5_s2_e6_i24_o40 r3_k3_s2_e6_i40_o80"
BLOCKS += " r3_k5_s1_e6_i80_o112 r4_k5_s2_e6_i112_o192 r1_k3_s1_e6_i192_o320"
SCALES = {  # width, depth
    **{"efficientnet_b0": (1.0, 1.0), "efficientnet_b1": (1.0, 1.1), "efficientnet_b2": (1.1, 1.2)},
    **{"efficientnet_b3": (1.2, 1.4), "efficientnet_b4": (1.4, 1.8), "efficientnet_b5": (1.6, 2.2)},
    **{"efficientnet_b6": (1.8, 2.6), "efficientnet_b7": (2.0, 3.1)},
    **{"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1), "efficientnet_lite2": (1.1, 1.2)},
    **{"efficientnet_lite3": (1.2, 1.4), "efficientnet_lite4": (1.4, 1.8)},
}


def rounded(channels: float) -> int:
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def efficientnet_by_hand(size: int, width: float, depth: float, lite: bool) -> tuple[int, int]:
    """Parameters and MACs: squeeze and excitation of a quarter of a block's INPUT channels; Lite has none."""
    side = math.ceil(size / 2)
    came = 32 if lite else rounded(32 * width)
    params, macs = 27 * came + 4 * came, 27 * came * side**2
    blocks = [[int(number) for number in re.findall(r"\d+", block)] for block in BLOCKS.split()]
    for position, (repeats, kernel, stride, expand, _, output) in enumerate(blocks):
        fixed = lite and position in (0, len(blocks) - 1)
        for repeat in range(repeats if fixed else math.ceil(depth * repeats)):
            wide, goes = came * expand, rounded(output * width)
            if expand > 1:
                params, macs = params + came * wide + 4 * wide, macs + came * wide * side**2
            side = math.ceil(side / stride) if repeat == 0 else side
            params, macs = params + kernel**2 * wide + 4 * wide, macs + kernel**2 * wide * side**2
            if not lite:
                squeezed = came // 4
                params, macs = params + 2 * wide * squeezed + squeezed + wide, macs + 2 * wide * squeezed
            params, macs = params + wide * goes + 4 * goes, macs + wide * goes * side**2
            came = goes
    last = 1280 if lite else rounded(1280 * width)
    params += came * last + 4 * last + 1001 * last - last + 1000
    return params, macs + came * last * side**2 + 1000 * last


@pytest.mark.parametrize("name", SCALES)
def test_efficientnets_are_what_their_block_strings_say(name: str) -> None:
    known = next(known for known in KNOWN if known.name == name)
    params, macs = efficientnet_by_hand(known.size, *SCALES[name], lite="lite" in name)
    assert params == known.params
    assert macs == pytest.approx(known.macs, rel=0.005)


# Large rows share their code with a smaller one that is run.
LARGE = {f"efficientnet_b{n}" for n in range(1, 8)} | {f"efficientnet_lite{n}" for n in range(1, 5)}
RUN = [name for name in ZOO if name not in LARGE | {"resnet34", "resnet101", "resnet152"}]


@pytest.mark.parametrize("name", RUN)
def test_outputs_and_a_round_trip_of_the_weights(name: str, tmp_path) -> None:
    """R29: finite logits that differ by class, softmax sums to 1; saved weights give the same outputs bit by bit."""
    keras.utils.set_random_seed(3)
    model = build(name, classes=7, input_shape=(40, 40, 3))
    images = np.random.default_rng(0).uniform(-1, 1, (2, 40, 40, 3)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(images, training=False))
    assert logits.shape == (2, 7) and logits.dtype == np.float32
    assert np.isfinite(logits).all() and (np.ptp(logits, axis=1) > 0).all()
    np.testing.assert_allclose(keras.ops.convert_to_numpy(keras.ops.softmax(logits)).sum(1), 1, atol=1e-5)
    model.save_weights(tmp_path / "model.weights.h5")
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(images, training=False)), logits)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "resnet50_v2", "squeezenet"])
def test_macs_by_tensorflows_own_profiler(name: str) -> None:
    """Two operations a MAC, of the convolutions and matrix products of the graph."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("counts a TensorFlow graph")
    import tensorflow as tf

    model = build(name, classes=10, input_shape=(72, 72, 3))
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec((1, 72, 72, 3))).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    ).with_empty_output()
    profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options.build())
    found: dict[str, int] = {}
    stack = [profile]
    while stack:
        node = stack.pop()
        found[node.name] = node.float_ops
        stack.extend(node.children)
    products = sum(found.get(kind, 0) for kind in ("Conv2D", "DepthwiseConv2dNative", "MatMul"))
    assert count(model).macs == products // 2
