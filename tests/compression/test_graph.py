import keras
import numpy as np
from keras import layers

from edgekit.compression.graph import graph_of, rebuilt
from tests.compression.small import randomized


def branching() -> keras.Model:
    """A convolution that is called twice, a tensor that is read twice, and two outputs."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4), name="image")
    twice = layers.Conv2D(4, 3, padding="same", name="twice")
    x = layers.BatchNormalization(name="norm")(twice(image))
    y = twice(layers.ReLU(name="relu")(x))
    total = layers.Add(name="add")([x, y])
    return randomized(keras.Model(image, [layers.GlobalAveragePooling2D(name="pool")(total), total]))


def test_a_graph_knows_who_makes_and_who_reads_a_tensor() -> None:
    model = branching()
    graph = graph_of(model)
    assert [node.layer.name for node in graph.nodes] == ["twice", "norm", "relu", "twice", "add", "pool"]
    norm, add = graph.nodes[1], graph.nodes[4]
    assert graph.producer(graph.inputs[0]) is None
    assert graph.producer(norm.output) is norm
    assert [node.layer.name for node in graph.consumers(norm.output)] == ["relu", "add"]
    assert graph.only_consumer(norm.output) is None
    assert graph.only_consumer(add.output) is None, "an output of the model is read by its caller too"
    assert graph.only_consumer(graph.nodes[0].output) is norm
    assert graph.calls(model.get_layer("twice")) == 2
    assert graph.shapes[add.output] == (8, 8, 4)


def test_a_rebuilt_model_is_another_one_with_the_same_answers() -> None:
    model = branching()
    copy = rebuilt(model)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype(np.float32)
    for ours, theirs in zip(copy(images), model(images), strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    copy.get_layer("twice").kernel.assign(copy.get_layer("twice").kernel * 0)
    assert np.any(np.asarray(model.get_layer("twice").kernel)), "the copy has weights of its own"
    assert sum(layer.name == "twice" for layer in copy.layers) == 1


def test_a_layer_is_exchanged_where_it_is_asked_for() -> None:
    model = branching()
    made = rebuilt(model, lambda node, given: given[0] * 2 if node.layer.name == "relu" else None)
    names = {layer.name for layer in made.layers}
    assert "relu" not in names and {"twice", "norm", "add", "pool"} <= names
