"""The model that people have comes in as it is, or one sentence says why not; nothing in it is run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edgekit.errors import BadInput
from edgekit.models.load import SavedModel, is_path, load_model

SHARED = Path(__file__).resolve().parents[3] / "shared" / "models" / "mlperf_tiny"
pytestmark = pytest.mark.filterwarnings(
    "ignore:You are saving your model as an HDF5 file", "ignore::DeprecationWarning"
)


def answers(model: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    images = np.random.default_rng(0).uniform(-1, 1, (3, *(shape or model.input_shape[1:]))).astype(np.float32)
    return np.asarray(model(images, training=False))


def shaken(model: Any) -> Any:
    """Every weight different from every other's initial value, batch statistics included."""
    generator = np.random.default_rng(1)
    model.set_weights([value + generator.uniform(0.1, 0.5, value.shape) for value in model.get_weights()])
    return model


def small() -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(x)
    x = layers.BatchNormalization()(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = keras.ops.relu6(x + y) / 2.0
    x = layers.GlobalAveragePooling2D()(layers.Dropout(0.3)(x))
    return shaken(keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="small"))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_keras_3_file(ending: str, compiled: bool, tmp_path: Path) -> None:
    model = small()
    if compiled:
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(np.zeros((4, 8, 8, 3)), np.zeros(4), verbose=0)
    model.save(tmp_path / f"m{ending}")
    loaded = load_model(tmp_path / f"m{ending}")
    assert isinstance(loaded, keras.Model) and not loaded.compiled and loaded.name == "small"
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(answers(loaded), answers(model))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_nested_transfer_model_of_keras_3(ending: str, tmp_path: Path) -> None:
    base = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, weights=None, include_top=False)
    for layer in base.layers[:-20]:  # the usual: all but the top is frozen
        layer.trainable = False
    inputs = keras.Input((32, 32, 3))
    x = layers.RandomFlip()(inputs)
    x = base(x, training=False)
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    model = shaken(keras.Model(inputs, x))
    model.save(tmp_path / f"m{ending}")
    loaded = load_model(tmp_path / f"m{ending}")
    assert [(v.path.split("/")[-2:]) for v in loaded.trainable_variables] == [
        (v.path.split("/")[-2:]) for v in model.trainable_variables
    ]
    np.testing.assert_array_equal(answers(loaded), answers(model))


def test_a_sequential_model_becomes_a_graph(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"m{ending}")
        loaded = load_model(tmp_path / f"m{ending}")
        assert type(loaded).__name__ == "Functional"
        np.testing.assert_array_equal(answers(loaded), answers(model))


def test_several_inputs_and_outputs_keep_their_order(tmp_path: Path) -> None:
    a, b = keras.Input((4,), name="z"), keras.Input((2,), name="a")
    joined = layers.Concatenate()([a, b])
    model = keras.Model([a, b], [layers.Dense(2, name="y")(joined), layers.Dense(3, name="b")(joined)])
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"m{ending}")
        loaded = load_model(tmp_path / f"m{ending}")
        assert [tensor.name for tensor in loaded.inputs] == ["z", "a"]
        assert [tuple(tensor.shape) for tensor in loaded.outputs] == [(None, 2), (None, 3)]


# --- Keras 2


def keras2(make: Any, path: Path) -> tuple[Any, Any]:
    """(ours, theirs): a model that Keras 2 saved, and Keras 2's own."""
    import tf_keras

    theirs = shaken(make(tf_keras))
    theirs.save(path)
    return load_model(path), theirs


def operators(k: Any) -> Any:
    """TensorFlow's operators between layers, as preprocess_input and residual code leave them."""
    import tensorflow as tf

    inputs = k.Input((16, 16, 3))
    x = inputs[..., ::-1] / 127.5 - 1.0
    x = tf.nn.relu6(k.layers.Conv2D(4, 3, padding="same")(1.0 - x))
    y = k.layers.Conv2D(4, 3, padding="same")(x)
    x = tf.concat([x + y, y], axis=-1)
    x = tf.reshape(tf.reduce_mean(x, axis=[1, 2], keepdims=True), (-1, 8))[:, 1:5]
    head = k.Sequential([k.layers.Dense(5, input_shape=(4,)), k.layers.Dense(3)])
    return k.Model(inputs, tf.cast(head(x), tf.float32) * 2.0)


def kinds(k: Any) -> Any:
    """Layers whose configuration Keras 3 changed."""
    inputs = k.Input((16, 16, 3))
    x = k.layers.DepthwiseConv2D(3, depth_multiplier=2, depthwise_regularizer="l2")(inputs)
    x = k.layers.SeparableConv2D(4, 3, activation="swish")(x)
    x = k.layers.LeakyReLU(alpha=0.2)(k.layers.BatchNormalization()(x))
    x = k.layers.SpatialDropout2D(0.1)(k.layers.ReLU(6.0)(x))
    x = k.layers.Conv2DTranspose(3, 2)(k.layers.UpSampling2D()(k.layers.ZeroPadding2D()(x)))
    x = k.layers.Softmax()(k.layers.PReLU(shared_axes=[1, 2])(x))
    x = k.layers.Reshape((-1, 3))(k.layers.AveragePooling2D()(x))
    return k.Model(inputs, k.layers.TimeDistributed(k.layers.Dense(2))(x))


def transfer(k: Any) -> Any:
    """A frozen backbone as a layer, its top trained: trained weights come first in the file."""
    base = k.applications.MobileNet(input_shape=(32, 32, 3), alpha=0.25, weights=None, include_top=False)
    for layer in base.layers[:-10]:
        layer.trainable = False
    inputs = k.Input((32, 32, 3))
    x = k.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    return k.Model(inputs, k.layers.Dense(3)(x))


def ends_nested(k: Any) -> Any:
    """The last layer is a model, and so is the first one."""
    inputs = k.Input((8, 8, 3))
    middle = k.Input((8, 8, 2))
    first = k.Sequential([k.layers.Conv2D(2, 3, padding="same", input_shape=(8, 8, 3))])
    last = k.Model(middle, k.layers.Dense(2)(k.layers.Flatten()(middle)))
    return k.Model(inputs, last(first(inputs)))


def shared_layer(k: Any) -> Any:
    inputs = k.Input((8, 8, 3))
    conv = k.layers.Conv2D(3, 3, padding="same")
    return k.Model(inputs, k.layers.Flatten()(k.layers.Add()([conv(conv(inputs)), inputs])))


def sequential(k: Any) -> Any:
    base = k.Sequential([k.layers.Conv2D(4, 3, input_shape=(8, 8, 3)), k.layers.BatchNormalization()])
    base.trainable = False
    return k.Sequential([base, k.layers.GlobalAveragePooling2D(), k.layers.Dense(3)])


def deferred(k: Any) -> Any:
    """A Sequential model that learned its input from the data."""
    model = k.Sequential([k.layers.Flatten(), k.layers.Dense(3)])
    model.build((None, 4, 4, 3))
    return model


FOLDERS = [("folder", make) for make in (operators, kinds, ends_nested, sequential)]
FILES = [("m.h5", make) for make in (operators, kinds, transfer, ends_nested, shared_layer, sequential, deferred)]
ZIPS = [("m.keras", make) for make in (kinds, transfer, sequential)]


@pytest.mark.parametrize(
    ("container", "make"), [*FILES, *ZIPS, *FOLDERS, pytest.param("folder", transfer, marks=pytest.mark.slow)]
)
def test_a_model_of_keras_2_gives_the_same_answers(make: Any, container: str, tmp_path: Path) -> None:
    ours, theirs = keras2(make, tmp_path / container)
    assert isinstance(ours, keras.Model) and type(ours).__name__ == "Functional"
    np.testing.assert_allclose(answers(ours), answers(theirs, ours.input_shape[1:]), rtol=1e-4, atol=1e-4)


def test_compiled_state_of_keras_2_is_left_behind(tmp_path: Path) -> None:
    import tf_keras

    theirs = sequential(tf_keras)
    theirs.build((None, 8, 8, 3))
    theirs.compile(tf_keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy")
    theirs.fit(np.zeros((4, 8, 8, 3)), np.zeros(4), verbose=0)
    theirs.save(tmp_path / "m.h5")
    ours = load_model(tmp_path / "m.h5")
    assert not ours.compiled
    np.testing.assert_allclose(answers(ours), answers(theirs, (8, 8, 3)), atol=1e-5)


def test_what_keras_3_cannot_do_is_refused_not_dropped(tmp_path: Path) -> None:
    import h5py

    for groups, refused in ((1, False), (2, True)):
        keras2(kinds, tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "a") as file:
            tree = json.loads(file.attrs["model_config"])
            tree["config"]["layers"][1]["config"]["groups"] = groups  # of the depthwise layer
            file.attrs["model_config"] = json.dumps(tree)
        if refused:
            with pytest.raises(BadInput, match=r"DepthwiseConv2D layer depthwise_conv2d\S* has groups=2"):
                load_model(tmp_path / "m.h5")
        else:
            load_model(tmp_path / "m.h5")


def test_an_operator_without_a_translation_is_named(tmp_path: Path) -> None:
    import tensorflow as tf
    import tf_keras as k

    inputs = k.Input((8, 8, 4))
    k.Model(inputs, tf.image.adjust_hue(inputs[..., :3], 0.1)).save(tmp_path / "m.h5")
    with pytest.raises(BadInput, match=r"operator tf\.image\.adjust_hue"):
        load_model(tmp_path / "m.h5")


@pytest.mark.skipif(not SHARED.is_dir(), reason="there is no ../shared/models/mlperf_tiny")
@pytest.mark.parametrize(
    ("model", "file", "high"),
    [("vww_96.h5", "vww_96_float.tflite", 1), ("pretrainedResnet.h5", "pretrainedResnet.tflite", 255)],
)
def test_mlperf_tinys_models_give_the_answers_of_its_own_files(model: str, file: str, high: int) -> None:
    """Within 1e-4."""
    from edgekit.runtime.interpreter import open_model

    ours = load_model(SHARED / model)
    images = np.random.default_rng(0).uniform(0, high, (16, *ours.input_shape[1:])).astype(np.float32)
    theirs = open_model(SHARED / file)
    want = np.concatenate([theirs.run(image[None])[0] for image in images])
    np.testing.assert_allclose(np.asarray(ours(images, training=False)), want, atol=1e-4)


# --- SavedModels


def test_a_saved_model_that_is_no_keras_model_has_its_signature(tmp_path: Path) -> None:
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self) -> None:
            self.w = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

        @tf.function(
            input_signature=[tf.TensorSpec((None, 3), name="b"), tf.TensorSpec((None, 2, 2), tf.int32, name="a")]
        )
        def serve(self, b: Any, a: Any) -> Any:
            return {"sum": tf.matmul(b, self.w) + tf.cast(a[:, 0], tf.float32), "twice": 2 * a}

    net = Net()
    tf.saved_model.save(net, tmp_path / "net", signatures={"serving_default": net.serve})
    loaded = load_model(tmp_path / "net")
    assert isinstance(loaded, SavedModel) and loaded.path == tmp_path / "net"
    assert {(spec.name, spec.shape, spec.dtype) for spec in loaded.inputs} == {
        ("b", (3,), "float32"),
        ("a", (2, 2), "int32"),
    }
    values = {"b": np.ones((5, 3), np.float32), "a": np.full((5, 2, 2), 7, np.int32)}
    results = loaded.function(*(tf.constant(values[spec.name]) for spec in loaded.inputs))
    outputs = {spec.name: np.asarray(value) for spec, value in zip(loaded.outputs, results, strict=True)}
    np.testing.assert_array_equal(outputs["sum"], np.tile([16.0, 19.0], (5, 1)))
    np.testing.assert_array_equal(outputs["twice"], np.full((5, 2, 2), 14))
    assert "not saved by Keras 2" in loaded.reason


def test_a_saved_model_of_keras_3_and_one_with_code_have_their_signature(tmp_path: Path) -> None:
    import tf_keras as k

    model = small()
    model.export(tmp_path / "three", verbose=False)
    three = load_model(tmp_path / "three")
    assert isinstance(three, SavedModel)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(three.function(images)[0]), answers(model), atol=1e-6)

    inputs = k.Input((4,))
    k.Model(inputs, k.layers.Lambda(lambda x: x * 2, name="doubled")(inputs)).save(tmp_path / "coded")
    coded = load_model(tmp_path / "coded")
    assert isinstance(coded, SavedModel) and "doubled" in coded.reason


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    import tensorflow as tf

    class Free(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), name="x")])
        def serve(self, x: Any) -> Any:
            return x * 2.0

        @tf.function(input_signature=[tf.TensorSpec((None, 3), name="x")])
        def read(self, x: Any) -> Any:
            return x * tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)

    free = Free()
    tf.saved_model.save(free, tmp_path / "free", signatures={"serving_default": free.serve})
    tf.saved_model.save(free, tmp_path / "reads", signatures={"serving_default": free.read})
    tf.saved_model.save(free, tmp_path / "two", signatures={"a": free.read, "b": free.serve})
    tf.saved_model.save(free, tmp_path / "none")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"not a protobuf")
    (tmp_path / "empty").mkdir()
    said = {
        "free": "no fixed input size: its input x",
        "reads": "reach out of the graph: ReadFile",
        "two": "no signature serving_default; it has a, b",
        "none": "it has none",
        "broken": "not a whole SavedModel",
        "empty": "holds no SavedModel",
    }
    for folder, sentence in said.items():
        with pytest.raises(BadInput, match=sentence):
            load_model(tmp_path / folder)


# --- what is refused


CUSTOM = """
import keras
from pathlib import Path

Path({canary!r}).touch()

class Gate(keras.layers.Layer):
    def call(self, x):
        return x * 0.5

@keras.saving.register_keras_serializable("mine")
class Scale(keras.layers.Layer):
    def __init__(self, by, **rest):
        super().__init__(**rest)
        self.by = by
    def call(self, x):
        return x * self.by
    def get_config(self):
        return dict(super().get_config(), by=self.by)

@keras.saving.register_keras_serializable("mine")
def halve(x):
    return x / 2
"""


@pytest.fixture
def custom(tmp_path: Path) -> Any:
    """(the file, its names): a module of the user's, whose names are gone again after the test."""
    file = tmp_path / "mine.py"
    file.write_text(CUSTOM.format(canary=str(tmp_path / "custom ran")))
    names: dict[str, Any] = {"__name__": "mine"}
    exec(file.read_text(), names)
    yield file, names
    for name in [name for name in keras.saving.get_custom_objects() if name.startswith("mine>")]:
        del keras.saving.get_custom_objects()[name]


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_custom_layers_are_named_and_come_from_the_users_file_alone(ending: str, custom: Any, tmp_path: Path) -> None:
    file, names = custom
    inputs = keras.Input((8, 8, 3))
    x = names["Scale"](3.0, name="tripled")(names["Gate"](name="gated")(inputs))
    x = layers.Dense(2, activation=names["halve"], name="halved")(layers.Flatten()(x))
    model = keras.Model(inputs, x)
    path = tmp_path / f"m{ending}"
    model.save(path)
    want = answers(model)
    for name in ("mine>Scale", "mine>halve"):
        del keras.saving.get_custom_objects()[name]
    (tmp_path / "custom ran").unlink()
    with pytest.raises(BadInput, match=r"not Keras's own: gated \(Gate\), tripled.*--custom FILE\.py"):
        load_model(path)
    assert not (tmp_path / "custom ran").exists()
    np.testing.assert_array_equal(answers(load_model(path, custom=file)), want)
    assert (tmp_path / "custom ran").exists()


def test_a_custom_layer_of_keras_2(custom: Any, tmp_path: Path) -> None:
    import tf_keras as k

    class Gate(k.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 0.5

    inputs = k.Input((4,))
    k.Model(inputs, k.layers.Dense(2)(Gate(name="gated")(inputs))).save(tmp_path / "m.h5")
    with pytest.raises(BadInput, match=r"gated \(Gate\)"):
        load_model(tmp_path / "m.h5")
    assert type(load_model(tmp_path / "m.h5", custom=custom[0]).get_layer("gated")).__name__ == "Gate"


def test_custom_files_that_cannot_be_used(tmp_path: Path) -> None:
    small().save(tmp_path / "m.keras")
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(BadInput, match=r"bad\.py cannot be imported: ZeroDivisionError"):
        load_model(tmp_path / "m.keras", custom=tmp_path / "bad.py")
    with pytest.raises(BadInput, match="no Python file"):
        load_model(tmp_path / "m.keras", custom=tmp_path / "missing.py")


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_code_in_the_file_is_refused_with_custom_too(ending: str, custom: Any, tmp_path: Path) -> None:
    canary = tmp_path / "lambda ran"
    name = str(canary)
    inputs = keras.Input((4,))
    code = layers.Lambda(lambda x: (__import__("os").mkdir(name), x)[1], output_shape=(4,), name="evil")
    model = keras.Model(inputs, layers.Dense(2)(code(inputs)))
    model.save(tmp_path / f"m{ending}")
    for given in (None, custom[0]):
        with pytest.raises(BadInput, match=r"code of its own, which is never run: evil\..*--custom FILE\.py"):
            load_model(tmp_path / f"m{ending}", custom=given)
    assert not canary.exists()


def test_a_lambda_that_calls_a_function_of_the_users_file(custom: Any, tmp_path: Path) -> None:
    file, names = custom
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Lambda(names["halve"], output_shape=(4,), name="halved")(inputs))
    model.save(tmp_path / "m.keras")
    del keras.saving.get_custom_objects()["mine>halve"]
    with pytest.raises(BadInput, match="never run: halved"):
        load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(answers(load_model(tmp_path / "m.keras", custom=file)), answers(model))


def forged(path: Path, change: Any) -> Path:
    """A .keras file whose configuration `change` has edited."""
    small().save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(members["config.json"])
    change(tree, tree["config"]["layers"])
    members["config.json"] = json.dumps(tree).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def into(position: int, **entries: Any) -> Any:
    return lambda tree, found: found[position].update(entries)


def config_of(position: int, **entries: Any) -> Any:
    return lambda tree, found: found[position]["config"].update(entries)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (into(2, module="os", class_name="system"), r"conv2d.* \(.*\)"),
        (into(2, module="subprocess", class_name="Popen", registered_name=None), r"\(Popen\)"),
        (into(2, module="keras.utils", class_name="get_file", registered_name="get_file"), r"\(get_file\)"),
        (into(2, module="keras.src.utils.file_utils", class_name="get_file", registered_name=None), r"\(get_file\)"),
        (into(2, module="keras_hub.models", class_name="Backbone", registered_name=None), r"\(Backbone\)"),
        (into(2, module=["os"], class_name="Conv2D"), r"\("),
        (into(2, class_name="TFSMLayer"), "code of its own"),
        (config_of(2, activation={"class_name": "function", "module": "os", "config": "system"}), r"\(function\)"),
        (config_of(2, kernel_initializer={"class_name": "x", "module": "os", "config": {}}), r"\(x\)"),
        (config_of(2, bias_initializer={"class_name": "__lambda__", "config": {"value": "x"}}), "code of its own"),
        (config_of(2, data_format="channels_first"), "channels first, which .tflite does not know: conv2d"),
        (config_of(-1, units=10**9), "cannot hold them"),
        (config_of(-1, units=10**15), "cannot hold them"),
        (config_of(2, filters="many"), "cannot be loaded"),
        (config_of(2, surprise=1), "cannot be loaded"),
        (config_of(0, batch_shape=[None, 10**7, 10**7, 3]), "nothing can hold"),
        (config_of(0, batch_shape=[None, None, None, 3]), r"no fixed input size: its input image .* keras\.Input"),
        (lambda tree, found: found.pop(3), "cannot be loaded"),
        (lambda tree, found: tree.update(class_name="Mine", module="mine", registered_name="Mine"), r"\(Mine\)"),
        (lambda tree, found: tree.update(config=None), "describes no Keras model"),
        (lambda tree, found: tree.pop("class_name"), "describes no Keras model"),
    ],
)
def test_a_configuration_that_names_or_wants_too_much(change: Any, said: str, tmp_path: Path) -> None:
    path = forged(tmp_path / "m.keras", change)
    with pytest.raises(BadInput, match=said):
        load_model(path)


@pytest.mark.parametrize("depth", [950, 100_000])
def test_a_configuration_without_a_bottom(depth: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", '{"class_name": "Model", "config": {"a": ' + "[" * depth + "]" * depth + "}}")
    with pytest.raises(BadInput, match="recursion"):
        load_model(tmp_path / "m.keras")


def test_a_refusal_leaves_nothing_to_be_allocated_later(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot hold them"):
        load_model(forged(tmp_path / "m.keras", config_of(-1, units=10**9)))
    with keras.StatelessScope():
        pass  # its end makes every variable that is still waiting
    assert load_model(forged(tmp_path / "m.keras", lambda tree, found: None)).count_params() == small().count_params()


def test_variables_that_someone_left_without_values_stay_so(tmp_path: Path) -> None:
    with keras.StatelessScope(initialize_variables=False):
        left = layers.Dense(10**6)
        left.build((None, 10**6))
    small().save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").count_params() == small().count_params()
    assert left.kernel._value is None


def test_files_that_are_no_model(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "weights.h5").write_bytes((tmp_path / "m.weights.h5").read_bytes())
    (tmp_path / "m.zip").write_bytes((tmp_path / "m.keras").read_bytes())
    (tmp_path / "text.keras").write_text("hello")
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme", "x")
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", " " * (65 << 20))
    (tmp_path / "w.pth").write_bytes(b"x")
    said = {
        "missing.keras": "There is no file or folder",
        "m.weights.h5": "weights without a model.*--weights FILE",
        "weights.h5": "weights without a model",
        "w.pth": "weights without a model",
        "m.zip": r"Rename it to end in \.keras",
        "text.keras": "is not a model",
        "m.tflite": "`edgekit evaluate` and `edgekit bench` take",
        "other.keras": "not a whole Keras model: .*config.json",
        "bomb.keras": "absurdly large",
    }
    for name, sentence in said.items():
        with pytest.raises(BadInput, match=sentence):
            load_model(tmp_path / name)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_file_cut_short(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{ending}"
    small().save(path)
    content = path.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.95):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(BadInput, match=r"not a whole|cannot be loaded|is not a model"):
            load_model(path)


def test_weights_that_do_not_fit_the_configuration(tmp_path: Path) -> None:
    path = forged(tmp_path / "m.keras", config_of(2, filters=6))
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_model(path)


def test_models_without_a_graph_or_a_size(tmp_path: Path, custom: Any) -> None:
    free = keras.Input((None, None, 3), name="picture")
    keras.Model(free, layers.Conv2D(2, 3)(free)).save(tmp_path / "free.h5")
    with pytest.raises(BadInput, match=r"no fixed input size: its input picture is \[None, None, None, 3\]"):
        load_model(tmp_path / "free.h5")
    keras.Sequential([layers.Dense(2)]).save(tmp_path / "unbuilt.keras")
    with pytest.raises(BadInput, match="no input size"):
        load_model(tmp_path / "unbuilt.keras")

    (tmp_path / "net.py").write_text(
        "import keras\nclass Net(keras.Model):\n    def __init__(self, **rest):\n        super().__init__(**rest)\n"
        "        self.dense = keras.layers.Dense(2)\n    def call(self, x):\n        return self.dense(x)\n"
    )
    names: dict[str, Any] = {"__name__": "net"}
    exec((tmp_path / "net.py").read_text(), names)
    net = names["Net"]()
    net(np.zeros((1, 4)))
    net.save(tmp_path / "net.keras")
    with pytest.raises(BadInput, match=r"\(Net\)"):
        load_model(tmp_path / "net.keras")
    with pytest.raises(BadInput, match="the class Net, not a graph of layers"):
        load_model(tmp_path / "net.keras", custom=tmp_path / "net.py")


def test_what_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mobilenet").mkdir()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    paths = ("m.keras", "m.h5", "a/b", "./x", "saved", "m.tflite", "w.npz", "w.pth", "C:\\models\\x")
    names = ("mobilenet", "resnet8", "keras:VGG16", "nonsense")
    assert [name for name in (*paths, *names) if is_path(name)] == list(paths)
