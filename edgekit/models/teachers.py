"""Teachers from elsewhere: a trained network that takes what the student takes, and gives logits of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import Card, card_path, read_card
from edgekit.distil_config import Distil
from edgekit.errors import BadInput
from edgekit.models.backend import import_keras
from edgekit.models.head import ends_in_softmax, on_logits
from edgekit.models.imagenet import imagenet_classes
from edgekit.models.load import SavedModel, load_model
from edgekit.models.weights import IMAGENET
from edgekit.models.zoo import build, find
from edgekit.preprocess import PRESETS, Preparation, Preprocess, load_block, preparation
from edgekit.recipe_names import is_path

CARRIES_PREPROCESSING = ("Rescaling", "Normalization")
PIXELS = ("resize", "antialias", "crop")  # what decides the pixels, which no arithmetic on them can change


@dataclass(frozen=True)
class Loaded:
    """`model` gives logits float32 [n, classes]; `feed` makes what it takes of what the student takes, None where that
    is the same. `name` is for messages."""

    name: str
    model: Any
    feed: Any | None = None


def load_teachers(config: Distil, preprocess: Preprocess, class_names: Sequence[str]) -> tuple[Loaded, ...]:
    """The teachers of a configuration, for a student whose images are prepared as `preprocess` says.

    A softmax at the end is taken off. One that wants another normalization, order of the channels or image size gets
    its `feed`. `class_names` are the student's classes, of which a teacher from a file must have as many; one of the
    zoo has those of ImageNet. Raises BadInput, one sentence each: a file or network that cannot be loaded, other pixels
    (resize filter, crop), other classes.
    """
    return tuple(_loaded(name, config, preprocess, tuple(class_names)) for name in config.teacher)


def averaged(teachers: Sequence[Loaded], temperature: float) -> Any:
    """One model of several: at `temperature` its logits [n, classes] have the mean of their probabilities."""
    keras = import_keras("A teacher")
    image = keras.Input((teachers[0].feed or teachers[0].model).input_shape[1:], name="image")
    answers = [one.model(one.feed(image) if one.feed else image) for one in teachers]
    return keras.Model(image, _mean_answer(keras, answers, temperature), name="teachers")


def _mean_answer(keras: Any, answers: list[Any], temperature: float) -> Any:
    logs = [keras.ops.log_softmax(one / temperature, axis=-1) for one in answers]
    return temperature * keras.ops.logsumexp(keras.ops.stack(logs), axis=0)  # what all have in common is no matter


def _loaded(name: str, config: Distil, preprocess: Preprocess, class_names: tuple[str, ...]) -> Loaded:
    if is_path(name):
        path = Path(name).expanduser()
        model, card = load_model(path), card_beside(path)
        wanted = _of_file(model, card, config, preprocess)
        _check_order(name, card, class_names)
    elif config.teacher_epochs:
        raise BadInput(f"The teacher {name} is to be trained first, which a run does.", "Use `edgekit compress`.")
    else:
        model, wanted = _of_zoo(name, preprocess, class_names)
    _check(name, model, class_names)
    size = tuple(model.inputs[0].shape[1:3])
    return Loaded(name, on_logits(model) if ends_in_softmax(model) else model, _feed(name, wanted, size, preprocess))


def _of_zoo(name: str, preprocess: Preprocess, class_names: tuple[str, ...]) -> tuple[Any, Preparation]:
    full, row = find(name)
    ours = imagenet_classes()
    known, order = len(ours.names), list(range(len(ours.names)))
    if len(class_names) != known or ours.positions(class_names, "The data").tolist() != order:
        raise BadInput(
            f"The teacher {name} knows the {known} classes of ImageNet in their order, and the data have others.",
            "Train it on these data first, and give the .keras file.",
        )
    shape = (preprocess.height, preprocess.width, 3)
    return build(full, classes=known, input_shape=shape, weights=IMAGENET), preparation(row.preprocess)


def card_beside(path: Path) -> Card | None:
    """That of a network trained by edgekit: a run keeps MODEL.keras and MODEL_float32.card.json in one folder."""
    card = card_path(path.with_name(f"{path.stem}_float32.tflite"))
    return read_card(card) if card.is_file() else None


def _check_order(name: str, card: Card | None, class_names: tuple[str, ...]) -> None:
    if card and class_names and sorted(card.labels) == sorted(class_names) and tuple(card.labels) != class_names:
        raise BadInput(
            f"The teacher {name} knows the same classes in another order: {', '.join(card.labels[:3])}, ...",
            "Name the class folders as they were when it was trained, or train it again.",
        )


def _of_file(model: Any, card: Card | None, config: Distil, preprocess: Preprocess) -> Preparation:
    given = config.preprocess
    if given is not None:
        return load_block(Path(given)) if given.endswith(".json") else preparation(given)
    if card is not None and card.preprocessing is not None:
        return card.preprocessing
    layers = [one for one in getattr(model, "layers", ()) if type(one).__name__ != "InputLayer"]
    if layers and type(layers[0]).__name__ in CARRIES_PREPROCESSING:
        return preprocess.raw_pixels().model_copy(update={"channels": "rgb"})
    return preprocess


def _check(name: str, model: Any, class_names: tuple[str, ...]) -> None:
    if isinstance(model, SavedModel):
        raise BadInput(f"The teacher {name} is a bare SavedModel, not a Keras model.", "Give a .keras file.")
    shapes = [tuple(one.shape[1:]) for one in (*model.inputs, *model.outputs)]
    if len(shapes) != 2 or len(shapes[1]) != 1:
        raise BadInput(f"The teacher {name} is no classifier of one image.", "Give one that has a score a class.")
    if len(shapes[0]) != 3 or None in shapes[0] or shapes[0][2] != 3:
        raise BadInput(
            f"The teacher {name} takes {'x'.join(map(str, shapes[0]))}, which is no RGB image of one size.",
            "Give one that takes (height, width, 3).",
        )
    dtypes = [one.dtype for one in (*model.inputs, *model.outputs)]
    if dtypes != ["float32", "float32"]:
        said = f"The teacher {name} takes {dtypes[0]} and gives {dtypes[1]}, and a student works in float32."
        raise BadInput(said, "Build it with an input and a last layer of float32, and save that.")
    if class_names and shapes[1][0] != len(class_names):
        raise BadInput(
            f"The teacher {name} knows {shapes[1][0]} classes, the data have {len(class_names)}.",
            "Give one that was trained on the same classes.",
        )


def _feed(name: str, theirs: Preparation, size: tuple[int, int], ours: Preprocess) -> Any | None:
    """(p - mean) / std as the teacher takes it, of the same p as the student takes it, or where the teacher's `size`
    (height, width) is another one, of those resized. Raises BadInput."""
    other = [field for field in PIXELS if getattr(theirs, field) != getattr(ours, field)]
    if other:
        said = ", ".join(f"{field} {getattr(theirs, field)} instead of {getattr(ours, field)}" for field in other)
        raise BadInput(
            f"The teacher {name} takes other pixels than the student: {said}.",
            "Prepare the student's images so too (data.preprocess), or set train.distil.preprocess for a file "
            f"({', '.join(PRESETS)}).",
        )
    turned = theirs.channels != ours.channels
    mean, std = (values[::-1] if turned else values for values in (theirs.mean, theirs.std))
    scale = [our / their for our, their in zip(ours.std, std, strict=True)]
    offset = [(our - their) / by for our, their, by in zip(ours.mean, mean, std, strict=True)]
    keras = import_keras("A teacher")
    image = fed = keras.Input((ours.height, ours.width, 3), name="image")
    if set(scale) != {1.0} or set(offset) != {0.0} or turned:
        fed = keras.layers.Rescaling(scale, offset, name="normalization")(fed)
    if turned:
        fed = keras.ops.flip(fed, axis=-1)
    if size != (ours.height, ours.width):
        smaller = size[0] < ours.height or size[1] < ours.width
        fed = keras.layers.Resizing(*size, interpolation="bilinear", antialias=smaller, name="resizing")(fed)
    return None if fed is image else keras.Model(image, fed, name="feed")
