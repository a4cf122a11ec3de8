"""Recipes: what to do, as one frozen, typed value. This is the only parser of user configuration.

A YAML recipe states only what differs from the defaults here. Whatever is wrong in it is reported with its file and
line, and an unknown key with the nearest one that exists.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from edgekit.artifact import Frozen, Io, Variant
from edgekit.errors import BadInput
from edgekit.metadata_config import Metadata
from edgekit.preprocess import Preparation, Preprocess
from edgekit.quantize_config import Diagnose, Quantize
from edgekit.recipe_fields import put
from edgekit.recipe_names import default_recipe, find_recipe, is_path
from edgekit.step_config import Step, check_order
from edgekit.train_config import Train
from edgekit.yaml_lines import Lines, mapping_of

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
    max_arena_kb: Above0 | None = Field(
        None, description="of a microcontroller's memory, in kB of 1,000 bytes: the estimated arena of TFLite Micro"
    )


class Verify(Frozen):
    """Limits of verification (docs/contracts.md, "Verification limits")."""

    float32_max_relative: Above0 = Field(1e-4, description="largest difference, of the largest output")
    float16_agreement: Share = 0.99
    dynamic_agreement: Share = 0.99
    int8_agreement: Share = 0.95
    int16x8_agreement: Share = 0.95
    mixed_agreement: Share = 0.95
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
    """The whole job: model, data, training, steps, variants, budget, measurement."""

    description: str = ""
    model: Model = Model()
    data: Data = Data()
    train: Train = Train()
    steps: tuple[Step, ...] = Field((), description="what is done to the model between training and export, in order")
    quantize: Quantize = Quantize()
    diagnose: Diagnose = Diagnose()
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = ("float32", "int8")
    io: Io = Field("float32", description="input and output of int8 files; the other variants always have float32")
    temperature: Above0 = Field(
        1.0,
        description="divides the logits in front of the softmax of the files: above 1 for a network that is surer than "
        "it is right (`edgekit evaluate` says how much); no class changes",
    )
    budget: Budget = Budget()
    verify: Verify = Verify()
    bench: Bench = Bench()
    metadata: Metadata = Metadata()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        check_order(self.steps, self.variants)
        untaught = [step.name for step in self.steps if step.needs_teacher and self.train.distil is None]
        if untaught:
            raise ValueError(
                f"steps: {untaught[0]} learns from the teacher of train.distil, and there is none; name one"
            )
        return self

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels, where the recipe says."""
        size = self.data.image_size
        return (size, size) if isinstance(size, int) else size

    def in_file(self, variant: Variant, io: Io) -> dict[str, Any]:
        """The part of the recipe that decides the bytes of a variant's file, and travels in it: of the steps those that
        its model went through, none for float32 and the quantizing one for int8 alone.

        Of paths the last part is left: a file that is shipped says nothing of the folders of the machine it is from.
        """
        values = self.model_dump(mode="json", exclude={"description", "diagnose", "bench", "verify", "budget"})
        taken = [values["steps"][at] for at, step in enumerate(self.steps) if variant == "int8" or not step.quantizing]
        values |= {"variants": [variant], "io": io, "steps": taken if variant != "float32" else []}
        if variant == "mixed":
            values["budget"] = {"max_drop_points": self.budget.max_drop_points}
        for block, fields in PATHS.items():
            values[block] |= {field: _last_part(values[block][field]) for field in fields}
        if taught := values["train"]["distil"]:
            taught["teacher"] = [_last_part(one) for one in taught["teacher"]]
            taught["preprocess"] = _last_part(taught["preprocess"])
        return values

    def to_yaml(self) -> str:
        """Every field, defaults included: what is saved with a run."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def sha256(self) -> str:
        """Hex SHA-256 of the resolved values; `description` is not among them."""
        values = self.model_dump(mode="json", exclude={"description"})
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


# Fields that may be paths, besides the teacher's.
PATHS = {"model": ("name", "weights", "custom"), "data": ("source", "calibration", "labels")}


def _last_part(path: str | None) -> str | None:
    return path and (PureWindowsPath(path).name or path)


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
    values, lines = mapping_of(text, path)
    values = _for_own_model(values, overrides)
    for field, value in overrides.items():
        lines = put(values, lines, field, value)
    return _validate(_unlabelled(values), lines, path)


def _for_own_model(values: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Of a recipe for a network of the zoo, what concerns the user's own model: it is not trained unless asked."""
    model, train, data = (values.get(name, {}) for name in ("model", "train", "data"))
    if not all(isinstance(block, dict) for block in (model, train, data)):
        return values
    given, written = _text(overrides.get("model.name")), _text(model.get("name"))
    if given is None or written is None or is_path(written) or not is_path(given):
        return values
    kept = {name: value for name, value in data.items() if name not in ("image_size", "preprocess")}
    return {**values, "model": {}, "train": {**train, "epochs": 0}, "data": {"source": None, **kept}}


def _unlabelled(values: dict[str, Any]) -> dict[str, Any]:
    """Who calibrates on images without labels, trains nothing and names no data means none, and not the digits."""
    data, train = values.get("data"), values.get("train")
    if not isinstance(data, dict) or not isinstance(train, dict):
        return values
    if data.get("calibration") is None or "source" in data or train.get("epochs") != 0:
        return values
    return {**values, "data": {**data, "source": None}}


UNION_MEMBERS = {"Preparation", "Preprocess"}  # pydantic puts the one it tried into a field's path


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
    sentence = str(error["ctx"]["error"]) if error["type"] == "value_error" else ""  # of our own, about several fields
    line = lines.get((*known, sentence.partition(":")[0]), lines.get(known))
    where = f"{path}:{line}" if line else ("the command line" if known in lines else str(path))
    inside = known
    for part in place[len(known) :]:  # within a block that was given whole
        if known and (part.isdigit() or part in _keys(inside)):
            inside = (*inside, part)
    field = ".".join(inside or place)
    if error["type"] == "extra_forbidden":
        keys = _keys(place[:-1])
        close = difflib.get_close_matches(place[-1], keys, n=1, cutoff=0.0)
        return BadInput(
            f"{where}: unknown key {'.'.join(place)!r}.", f"Nearest: {close[0]!r}. Known here: {', '.join(keys)}."
        )
    if sentence:
        return BadInput(f"{where}: {sentence}.", "`edgekit recipes schema` describes every field.")
    given = json.dumps(error["input"], default=str)
    return BadInput(
        f"{where}: {field}: {error['msg']}, not {given[:60]}.", "`edgekit recipes schema` describes every field."
    )


def _keys(place: tuple[str, ...]) -> list[str]:
    """The field names of the block at `place`."""
    block: Any = Recipe
    for part in (one for one in place if not one.isdigit()):
        field = block.model_fields.get(part)
        kinds = () if field is None else get_args(field.annotation) or (field.annotation,)  # a union's members
        blocks = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        block = blocks[-1] if blocks else Preprocess
    return list(block.model_fields)
