"""Recipes: what to do, as one frozen, typed value. This is the only parser of user configuration.

A YAML recipe states only what differs from the defaults here. Whatever is wrong in it is reported with its file and
line, and an unknown key with the nearest one that exists.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError

from edgekit.artifact import Frozen, Io, Variant
from edgekit.errors import BadInput, UsageError, unknown
from edgekit.preprocess import Preparation, Preprocess
from edgekit.train_config import Train

SUFFIX = ".yaml"
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
WEIGHT_SUFFIXES = (".weights.h5", ".npz", ".pth", ".pt")
SAVED_MODEL = "saved_model.pb"  # what the folder of a SavedModel holds
Size = Annotated[int, Field(ge=1, le=8192)]
Share = Annotated[float, Field(ge=0, le=1)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Model(Frozen):
    """Which network: a name that `edgekit models` lists, keras:NAME, or a file or folder of the user's own."""

    name: str = "mobilenet"
    weights: str | None = Field(None, description="imagenet, or a file of weights; None is random, or the file's own")
    custom: str | None = Field(None, description="a Python file with the layers that the user's own model needs")
    new_head: bool = Field(False, description="replace the last layers of the user's own model by ones for the data")
    alpha: Above0 | None = Field(None, description="width multiplier; None is the family's own")
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Data(Frozen):
    """Which images, and what is done to them before the model sees them."""

    source: str | None = Field(
        "digits",
        description="labelled images: digits, cifar10, cifar100, mnist, fashion_mnist, a folder or a .npz file; "
        "None: there are none. With a calibration and without training None is the default",
    )
    image_size: Size | tuple[Size, Size] | None = Field(
        None,
        description="pixels; one number, or [height, width]. None is the size of the user's own model, for pretrained "
        "weights the published one, and else 32",
    )
    preprocess: str | Preparation | Preprocess | None = Field(
        None, description="a preset or a block; None is the model's own"
    )
    calibration: str | None = Field(
        None, description="a folder of images without labels, or a .npz file with an array an input of the model"
    )
    calibration_images: Annotated[int, Field(ge=1, le=100_000)] = 100
    labels: str | None = Field(None, description="a text file: the classes of the user's own model, one a line")


class Budget(Frozen):
    """Limits a variant must meet to be chosen; one that no variant meets fails the run with exit code 1."""

    max_drop_points: Annotated[float, Field(ge=0, le=100)] = Field(1.0, description="top-1 points below float32")
    max_size_mb: Above0 = Field(50.0, description="of the file, in MB of 1,000,000 bytes")
    max_latency_ms: Above0 = Field(100.0, description="median on the first bench device, first thread count")


class Verify(Frozen):
    """Limits of verification (docs/contracts.md, "Verification limits")."""

    float32_max_relative: Above0 = Field(1e-4, description="largest difference, of the largest output")
    float16_agreement: Share = 0.99
    dynamic_agreement: Share = 0.99
    int8_agreement: Share = 0.95
    int16x8_agreement: Share = 0.95
    min_sqnr_db: float = Field(20.0, description="asked of models that are not classifiers, in dB")
    images: Annotated[int, Field(ge=1)] = Field(500, description="validation images compared, at most")


class Bench(Frozen):
    """How latency is measured."""

    devices: Annotated[tuple[Literal["cpu"], ...], Field(min_length=1)] = ("cpu",)
    threads: Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1)] = (1,)
    processes: Annotated[int, Field(ge=1, le=100)] = 3
    runs: Annotated[int, Field(ge=1)] = Field(100, description="timed runs of all processes, at least")
    seconds: Annotated[float, Field(ge=0)] = Field(1.0, description="timed seconds of all processes, at least")


class Recipe(Frozen):
    """The whole job: model, data, training, variants, budget, measurement."""

    description: str = ""
    model: Model = Model()
    data: Data = Data()
    train: Train = Train()
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = ("float32", "int8")
    io: Io = Field("float32", description="input and output of int8 files; the other variants always have float32")
    budget: Budget = Budget()
    verify: Verify = Verify()
    bench: Bench = Bench()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels, where the recipe says."""
        size = self.data.image_size
        return (size, size) if isinstance(size, int) else size

    def to_yaml(self) -> str:
        """Every field, defaults included: what is saved with a run."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def sha256(self) -> str:
        """Hex SHA-256 of the resolved values; `description` is not among them."""
        values = self.model_dump(mode="json", exclude={"description"})
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


# Command-line flag -> recipe field: the written-out table of docs/contracts.md.
FLAGS = {
    "model": "model.name",
    "alpha": "model.alpha",
    "weights": "model.weights",
    "custom": "model.custom",
    "data": "data.source",
    "labels": "data.labels",
    "image_size": "data.image_size",
    "preprocess": "data.preprocess",
    "mean": "data.preprocess.mean",
    "std": "data.preprocess.std",
    "channels": "data.preprocess.channels",
    "resize": "data.preprocess.resize",
    "antialias": "data.preprocess.antialias",
    "crop": "data.preprocess.crop",
    "calibration": "data.calibration",
    "calibration_images": "data.calibration_images",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "learning_rate": "train.learning_rate",
    "optimizer": "train.optimizer",
    "schedule": "train.schedule",
    "variants": "variants",
    "io": "io",
    "max_drop_points": "budget.max_drop_points",
    "max_size_mb": "budget.max_size_mb",
    "max_latency_ms": "budget.max_latency_ms",
    "threads": "bench.threads",
    "seed": "seed",
}

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


def load_recipe(source: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe named or stored at `source`, with `overrides` (dotted field -> value) on top.

    Without a source: the one for the overriding `model.name`. Raises BadInput naming the file, the line and the field.
    """
    overrides = dict(overrides or {})
    if source is None:
        source = default_recipe(*(_text(overrides.get(field)) for field in ("model.name", "model.weights")))
    path = find_recipe(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as text: {error}.", "Give a YAML file in UTF-8.") from None
    values, lines = _parse(text, path)
    for field, value in overrides.items():
        _put(values, field, value)
        for depth in range(1, field.count(".") + 2):
            lines.setdefault(tuple(field.split(".")[:depth]), None)
        lines[tuple(field.split("."))] = None
    return _validate(_unlabelled(values), lines, path)


def _unlabelled(values: dict[str, Any]) -> dict[str, Any]:
    """Who calibrates on images without labels, trains nothing and names no data means none, and not the digits."""
    data, train = values.get("data"), values.get("train")
    if not isinstance(data, dict) or not isinstance(train, dict):
        return values
    if data.get("calibration") is None or "source" in data or train.get("epochs") != 0:
        return values
    return {**values, "data": {**data, "source": None}}


def parse_set(assignments: Iterable[str]) -> dict[str, Any]:
    """`--set train.epochs=3`: field -> value, the value read as YAML. Raises UsageError."""
    parsed = {}
    for assignment in assignments:
        field, equals, value = assignment.partition("=")
        if not equals or not field:
            raise UsageError(f"--set {assignment!r} is not FIELD=VALUE.", "For example: --set train.epochs=3")
        try:
            parsed[field.strip()] = yaml.load(value, _Loader)
        except yaml.YAMLError:
            raise UsageError(
                f"--set {field}: {value!r} is not a YAML value.", "Quote it: --set 'field=value'"
            ) from None
    return parsed


UNION_MEMBERS = {"Preparation", "Preprocess"}  # pydantic puts the one it tried into a field's path


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 2e-3 as the number it is (YAML 1.2); PyYAML's YAML 1.1 takes it for a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)$"), list("-+0123456789")
)

Lines = dict[tuple[str, ...], int | None]


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


def _parse(text: str, path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        values = yaml.load(text, _Loader)
        lines: Lines = {}
        _walk(yaml.compose(text, _Loader), (), lines, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"{where}: not valid YAML: {getattr(error, 'problem', error)}.", "Correct that line.") from None
    if values is None:
        return {}, lines
    if not isinstance(values, dict):
        raise BadInput(
            f"{path}:1: a recipe is a mapping of fields, not a {type(values).__name__}.",
            "`edgekit recipes show mobilenet-int8` prints one.",
        )
    return values, lines


def _walk(node: Any, at: tuple[str, ...], lines: Lines, path: Path) -> None:
    """Notes the line of every key; refuses a key given twice, which PyYAML lets pass."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            line = key.start_mark.line + 1
            if place in lines:
                raise BadInput(f"{path}:{line}: {'.'.join(place)} is given twice.", "Keep one of them.")
            lines[place] = line
            _walk(value, place, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[*at, str(number)] = value.start_mark.line + 1
            _walk(value, (*at, str(number)), lines, path)


def _put(values: dict[str, Any], field: str, value: Any) -> None:
    *parents, last = field.split(".")
    for name in parents:
        inner = values.get(name)
        values[name] = dict(inner) if isinstance(inner, dict) else {}
        values = values[name]
    values[last] = value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _validate(values: dict[str, Any], lines: Lines, path: Path) -> Recipe:
    try:
        # JSON is pydantic's strict mode that still takes a list for a tuple.
        return Recipe.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        # Of several complaints about one field (a union lists one each), the deepest knows most.
        first = max(error.errors(), key=lambda e: (e["type"] == "extra_forbidden", len(e["loc"])))
        place = tuple(str(part) for part in first["loc"] if part not in UNION_MEMBERS)
        raise _complaint(first, place, lines, path) from None


def _complaint(error: Any, place: tuple[str, ...], lines: Lines, path: Path) -> BadInput:
    known = tuple(part for n, part in enumerate(place) if place[: n + 1] in lines)  # a union adds its members' names
    line = lines.get(known)
    where = f"{path}:{line}" if line else ("the command line" if known in lines else str(path))
    inner = place[len(known) : len(known) + 1]  # within a block that was given whole
    field = ".".join((*known, *inner) if known and inner and inner[0] in _keys(known) else known or place)
    if error["type"] == "extra_forbidden":
        keys = _keys(place[:-1])
        close = difflib.get_close_matches(place[-1], keys, n=1, cutoff=0.0)
        return BadInput(f"{where}: unknown key {field!r}.", f"Nearest: {close[0]!r}. Known here: {', '.join(keys)}.")
    if error["type"] == "value_error":  # a sentence of our own, about several fields
        return BadInput(f"{where}: {error['ctx']['error']}.", "`edgekit recipes schema` describes every field.")
    given = json.dumps(error["input"], default=str)
    return BadInput(
        f"{where}: {field}: {error['msg']}, not {given[:60]}.", "`edgekit recipes schema` describes every field."
    )


def _keys(place: tuple[str, ...]) -> list[str]:
    """The field names of the block at `place`."""
    block: Any = Recipe
    for part in place:
        field = block.model_fields.get(part)
        kinds = () if field is None else get_args(field.annotation) or (field.annotation,)  # a union's members
        blocks = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        block = blocks[-1] if blocks else Preprocess
    return list(block.model_fields)
