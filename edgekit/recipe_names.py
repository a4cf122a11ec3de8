"""What the words after --model and --recipe mean: a file or a name, and which recipe goes with which model."""

from __future__ import annotations

from pathlib import Path

from edgekit.errors import BadInput, unknown

SUFFIX = ".yaml"
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
WEIGHT_SUFFIXES = (".weights.h5", ".npz", ".pth", ".pt")
SAVED_MODEL = "saved_model.pb"  # what the folder of a SavedModel holds

# How a model's name begins -> the recipe it is compressed with when none is named; the first row that fits.
DEFAULT_RECIPES = {
    "mobilenet_v3": "mobilenet-v3-int8",
    "efficientnet_lite": "efficientnet-lite-int8",
    "efficientnet": "efficientnet-int8",
    "resnet": "resnet-int8",
}
DEFAULT = "mobilenet-int8"
OWN = "own-model-int8"
PRETRAINED = "efficientnet-lite-int8"
FINE_TUNES = {PRETRAINED, "efficientnet-int8", "mobilenet-v3-int8"}  # the others train from random weights


def default_recipe(model: str | None, weights: str | None = None) -> str:
    """The name of the recipe for a model, and pretrained weights, that are given without one."""
    if model is not None and is_path(model):
        return OWN
    rows = {begin: recipe for begin, recipe in DEFAULT_RECIPES.items() if weights is None or recipe in FINE_TUNES}
    usual = DEFAULT if weights is None else PRETRAINED
    return next((recipe for begin, recipe in rows.items() if (model or "").startswith(begin)), usual)


def is_path(model: str) -> bool:
    """Whether `model.name` means a file or folder of the user's own rather than a name of the zoo.

    A bare name is a folder only where that holds a SavedModel: a folder called mobilenet does not hide the network.
    """
    if model.startswith("keras:"):
        return False
    written_as_one = "/" in model or "\\" in model or model.endswith((*MODEL_SUFFIXES, *WEIGHT_SUFFIXES, ".tflite"))
    return written_as_one or (Path(model) / SAVED_MODEL).is_file()


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of every recipe that comes with edgekit: in the installed package, or in a source checkout."""
    package = Path(__file__).parent
    inside = package / "_shipped" / "recipes"
    folder = inside if inside.is_dir() else package.parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_recipe(source: str | Path) -> Path:
    """The file of a shipped recipe, by name, or the file itself. Raises BadInput listing the names."""
    shipped = shipped_recipes()
    if str(source) in shipped:
        return shipped[str(source)]
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise BadInput(f"The recipe {path} is not a file.", "`edgekit recipes` lists the ones that come with edgekit.")
    raise unknown("recipe", str(source), shipped)
