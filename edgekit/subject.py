"""The network that a recipe is about: one of the zoo, or the user's own. The pipeline asks the same of either."""

from __future__ import annotations

import functools
import hashlib
import re
import warnings
from pathlib import Path
from typing import Any, Protocol

from edgekit.artifact import sha256_of
from edgekit.data.classes import Classes, read_classes
from edgekit.errors import BadInput, EdgekitWarning, UsageError
from edgekit.evaluation.metrics import scores_fit
from edgekit.models import published
from edgekit.models.backend import import_keras
from edgekit.models.saved_model import Spec
from edgekit.models.weights import IMAGENET
from edgekit.models.zoo import build, find
from edgekit.preprocess import PRESETS, Preparation, Preprocess, preparation
from edgekit.recipe import Recipe
from edgekit.recipe_names import is_path

SCRATCH_SIZE = 32  # px, of a network of the zoo that begins with random weights
IMAGENET_CLASSES = 1000
CARRIES_PREPROCESSING = ("Rescaling", "Normalization")


class Subject(Protocol):
    """`name` is for files; `classes` are those of the outputs, where they are known before the data are read."""

    name: str
    classes: Classes | None

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the untrained model: a change of any of it makes everything anew."""

    def inputs(self) -> tuple[Spec, ...]:
        """Each input's name, shape without batch, and dtype."""

    def preprocess(self) -> Preprocess | None:
        """How images are prepared; None for a model that takes no RGB image. Raises where nobody says how."""

    def build(self, class_names: tuple[str, ...]) -> Any:
        """The model before training. Raises BadInput where it does not fit the classes (none for no labels)."""

    def softmax(self) -> bool:
        """Whether it gives logits, which are exported as probabilities; the user's own outputs are left as they are."""


def subject_of(recipe: Recipe) -> Subject:
    """By what `model.name` is: a file or folder, or a name. Raises BadInput, UsageError."""
    return OwnModel(recipe) if is_path(recipe.model.name) else ZooNetwork(recipe)


class ZooNetwork:
    """A network of the zoo, or of keras.applications, with random or pretrained weights."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        full, self._row = find(recipe.model.name)
        self.name = _for_files(full)
        if recipe.model.weights == IMAGENET:
            published.origin_of(full, self._row)  # before the data are read, which may take minutes
        self._published = recipe.model.weights == IMAGENET and not recipe.train.epochs
        self.classes = _named_classes(recipe) or (_imagenet() if self._published else None)
        if self._published and self.classes and len(self.classes.names) != IMAGENET_CLASSES:
            raise UsageError(
                f"{full} has {IMAGENET_CLASSES} classes of ImageNet, the labels are {len(self.classes.names)}.",
                "Leave --labels out, or train for them: --epochs N.",
            )
        if recipe.train.fine_tune and recipe.train.epochs and not recipe.model.weights:
            raise UsageError(f"Fine-tuning {full} needs pretrained weights.", "Give --weights imagenet or a file.")
        if recipe.model.custom or recipe.model.new_head:
            raise UsageError(f"{full} is a network of the zoo.", "Leave --custom and new_head for a model of your own.")

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        weights = self._recipe.model.weights
        files = {"weights_sha256": _digest(Path(weights))} if weights and weights != IMAGENET else {}
        return {"model": self._recipe.model.model_dump(mode="json"), **files, **_teachers(self._recipe)}

    def inputs(self) -> tuple[Spec, ...]:
        feed = self.preprocess()
        return (Spec("image", (feed.height, feed.width, 3), "float32"),)

    def preprocess(self) -> Preprocess:
        own = self._row.image_size if self._recipe.model.weights else SCRATCH_SIZE
        return _prepared(self._recipe, self._row.preprocess).to(*(_size(self._recipe) or (own, own)))

    def build(self, class_names: tuple[str, ...]) -> Any:
        import_keras("Training").utils.set_random_seed(self._recipe.seed)
        wanted, feed = self._recipe.model, self.preprocess()
        if not wanted.weights and not self._recipe.train.epochs:
            sentence = f"{self.name} has random weights: its size and latency are real, its answers are not."
            warnings.warn(sentence, EdgekitWarning, stacklevel=2)
        return build(
            wanted.name,
            classes=len(class_names) or self._classes_without_labels(),
            input_shape=(feed.height, feed.width, 3),
            alpha=wanted.alpha,
            dropout=wanted.dropout,
            weights=wanted.weights,
        )

    def softmax(self) -> bool:
        return True

    def _classes_without_labels(self) -> int:
        if self.classes is None:
            raise UsageError(
                f"How many classes {self.name} has is not known.", "Give --data, --labels, or --weights imagenet."
            )
        return len(self.classes.names)


class OwnModel:
    """A .keras or .h5 file, or a SavedModel."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._path = Path(recipe.model.name).expanduser()
        self.name = _for_files(self._path.name if self._path.is_dir() else self._path.stem)
        self.classes = _named_classes(recipe)
        if recipe.model.alpha is not None or recipe.model.dropout:
            raise UsageError("alpha and dropout are of the networks of the zoo.", "Leave them out for your own model.")

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        files = {"model": self._path, "weights": self._recipe.model.weights, "custom": self._recipe.model.custom}
        return {
            **{f"{name}_sha256": _digest(Path(path)) for name, path in files.items() if path is not None},
            "new_head": self._recipe.model.new_head,
            **_teachers(self._recipe),
        }

    @functools.cached_property
    def model(self) -> Any:
        """As it is in the file, with other weights where they are asked for."""
        from edgekit.models.load import load_model

        custom, weights = self._recipe.model.custom, self._recipe.model.weights
        model = load_model(self._path, custom=None if custom is None else Path(custom))
        if weights is not None:
            from edgekit.models.weights import load_into

            load_into(model, self.name, None, weights)
        return model

    def inputs(self) -> tuple[Spec, ...]:
        from edgekit.exporting.freeze import served

        return served(self.model).inputs

    def preprocess(self) -> Preprocess | None:
        shapes = [one.shape for one in self.inputs()]
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 3:
            return None
        height, width, _ = shapes[0]
        if _size(self._recipe) not in (None, (height, width)):
            raise BadInput(f"{self._path} takes images of {height}x{width} pixels.", "Give that size, or none.")
        return _prepared(self._recipe, self._carried()).to(height, width)

    def build(self, class_names: tuple[str, ...]) -> Any:
        import_keras("Training").utils.set_random_seed(self._recipe.seed)
        from edgekit.models import head

        if self._recipe.model.new_head:
            return head.with_new_head(self.model, len(class_names))
        self._check(class_names)
        return head.on_logits(self.model) if self._recipe.train.epochs else self.model

    def softmax(self) -> bool:
        return bool(self._recipe.model.new_head or self._recipe.train.epochs)

    def _carried(self) -> str | None:
        """A model that begins by rescaling takes pixels as they are."""
        layers = [one for one in getattr(self.model, "layers", ()) if type(one).__name__ != "InputLayer"]
        return "raw" if layers and type(layers[0]).__name__ in CARRIES_PREPROCESSING else None

    def _check(self, class_names: tuple[str, ...]) -> None:
        """Labels fit where the one output has a score a class, or one score for two classes."""
        if not class_names:
            return
        shapes = [tuple(one.shape[1:]) for one in getattr(self.model, "outputs", ()) if hasattr(one, "shape")]
        scores = shapes[0][-1] if len(shapes) == 1 and shapes[0] else None
        if not scores_fit(scores, len(class_names)):
            what = f"gives {scores} scores" if scores else "does not give one score a class"
            raise BadInput(
                f"{self._path} {what} and there are {len(class_names)} classes.",
                "Give images of its own classes (--labels FILE names them), or train a new head: "
                "--epochs N --set model.new_head=true.",
            )


def _prepared(recipe: Recipe, own: str | None) -> Preparation:
    """What the recipe says, or else what belongs to the model. UsageError where neither does."""
    wanted = recipe.data.preprocess or own
    if wanted is None:
        raise UsageError(
            f"{recipe.model.name} does not say how images are prepared for it.",
            f"Give --preprocess {'|'.join(PRESETS)} or a JSON file, or --mean and --std.",
        )
    return preparation(wanted) if isinstance(wanted, str) else wanted


def _size(recipe: Recipe) -> tuple[int, int] | None:
    """Where the recipe says one: as image_size, or in a whole preprocessing block."""
    block = recipe.data.preprocess
    whole = (block.height, block.width) if isinstance(block, Preprocess) else None
    if whole and recipe.image_size not in (None, whole):
        raise UsageError("--preprocess and --image-size give two sizes.", "Leave one of them out.")
    return recipe.image_size or whole


def _named_classes(recipe: Recipe) -> Classes | None:
    return None if recipe.data.labels is None else read_classes(recipe.data.labels)


def _imagenet() -> Classes:
    from edgekit.models.imagenet import imagenet_classes

    return imagenet_classes()


def _for_files(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("_.") or "model"


def _teachers(recipe: Recipe) -> dict[str, str]:
    """Digests of the files that training, or a step, learns from."""
    used = recipe.train.epochs or any(step.needs_teacher for step in recipe.steps)
    names = recipe.train.distil.teacher if recipe.train.distil and used else ()
    return {f"teacher_{number}_sha256": _digest(Path(name)) for number, name in enumerate(names) if is_path(name)}


def _digest(path: Path) -> str:
    """Of a file's content, or of every file below a folder. Raises BadInput where there is none."""
    path = path.expanduser()
    if path.is_file():
        return sha256_of(path.read_bytes())
    if not path.is_dir():
        raise BadInput(f"There is no file {str(path)!r}.", "Check the path; `edgekit models` lists the zoo's names.")
    files = sorted(one for one in path.rglob("*") if one.is_file())
    lines = [f"{one.relative_to(path).as_posix()} {sha256_of(one.read_bytes())}" for one in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
