"""Which network and recipe for a budget: from what benchmarks measured and papers published, and from nothing else.

A figure that nobody measured at the image size that is asked for is not known, and said to be so; none is estimated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, UsageError
from edgekit.models.row import Imagenet
from edgekit.models.zoo import ZOO, find
from edgekit.recipe_names import default_recipe

MEASURED, PUBLISHED = "measured here", "published"
NOTHING = (
    "Nothing that was measured meets this budget. Ease the limit that rules out most, or make a network smaller: "
    "edgekit compress --recipe channels50-int8"
)
FINE_TUNING = "fine_tuning.json"
FEW = 500  # images a class; up to here ImageNet weights win by far (benchmarks/fine_tuning.py)
SMALL = 64  # px; below it the published figures of 224 px say little
EIGHT_BITS = "int8"
DEFAULT = "mobilenet_v2"
ARENA = "the estimate for TensorFlow Lite Micro"


@dataclass(frozen=True)
class Figure:
    """`origin` is MEASURED (by the script `by`, `on` a CPU or a data set) or PUBLISHED (by the paper `by`)."""

    value: float
    unit: str
    origin: str
    by: str
    on: str
    note: str = ""

    def text(self) -> str:
        note = f", {self.note}" if self.note else ""
        return f"{self.value:.4g} {self.unit} ({self.origin}: {self.by}, on {self.on}{note})"

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Option:
    """A network with a recipe. `figures` by name: latency_ms, size_mb, arena_kb, top1 (percent). `unknown`: limits that
    were asked for and that nobody measured of it; `over`: sentences for those that it exceeds."""

    recipe: str
    model: str
    image_size: int
    variant: str
    figures: Mapping[str, Figure]
    pretrained: bool = False
    unknown: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.recipe} ({self.model}, {self.variant}, {self.image_size} px)"

    @property
    def command(self) -> str:
        asked = f"--recipe {self.recipe} --model {self.model} --data photos/ --image-size {self.image_size}"
        return f"edgekit compress {asked}"

    def to_json(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe, "model": self.model, "image_size": self.image_size, "variant": self.variant,
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "unknown": list(self.unknown), "over": list(self.over), "command": self.command,
        }  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The budget, all of it optional; `images` are those of a class to train on, `image_size` px."""

    max_latency_ms: float | None = None
    device: str = "cpu"
    max_size_mb: float | None = None
    max_arena_kb: float | None = None
    min_top1: float | None = None
    images: int | None = None
    image_size: int = 96

    def __post_init__(self) -> None:
        for name in ("max_latency_ms", "max_size_mb", "max_arena_kb", "min_top1", "images", "image_size"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise UsageError(f"{name} is {value:g}.", "Give more than zero.")
        if self.min_top1 is not None and self.min_top1 > 100:
            raise UsageError(f"min_top1 is {self.min_top1:g}.", "It is in percent: at most 100.")


@dataclass(frozen=True)
class Recommendation:
    """`fitting`: limits are known to be met, best first; `open`: some are not known; `ruled_out`: one is exceeded."""

    asked: Asked
    fitting: tuple[Option, ...]
    open: tuple[Option, ...]
    ruled_out: tuple[Option, ...]
    why: tuple[str, ...]
    not_known: tuple[str, ...] = field(default=())

    @property
    def first(self) -> Option | None:
        """The one that `why` explains: the best that fits, or, where none is known to, the best that may."""
        return next(iter((*self.fitting, *self.open)), None)

    def to_json(self) -> dict[str, Any]:
        named = {name: [one.to_json() for one in getattr(self, name)] for name in ("fitting", "open", "ruled_out")}
        return {"asked": dict(vars(self.asked)), **named, "why": list(self.why), "not_known": list(self.not_known)}


def recommend(asked: Asked | None = None, results: Path | None = None) -> Recommendation:
    """Ranks what `results` (default: what came with edgekit) has. Raises BadInput where they are damaged."""
    asked = asked or Asked()
    folder = results or shipped_results()
    options = [_judged(option, asked) for option in _options(folder)]
    ruled_out = tuple(one for one in options if one.over)
    kept = sorted((one for one in options if not one.over), key=lambda one: _rank(one, asked))
    fitting = tuple(one for one in kept if not one.unknown)
    rest = tuple(one for one in kept if one.unknown)
    return Recommendation(
        asked, fitting, rest, ruled_out, _why(fitting or rest, asked, folder), _not_known(fitting, asked)
    )


def shipped_results() -> Path:
    """The folder of measured results: in the installed package, or in a source checkout."""
    package = Path(__file__).parent
    inside = package / "_shipped" / "results"
    return inside if inside.is_dir() else package.parent / "benchmarks" / "results"


# ---- what was measured ----------------------------------------------------------------------------------------------


def _options(folder: Path) -> Iterator[Option]:
    for file, read in SOURCES.items():
        path = folder / file
        if not path.is_file():
            continue
        try:
            yield from read(json.loads(path.read_bytes()))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"{path} is damaged ({type(error).__name__}).", "Install edgekit again.") from error


def _recipes(document: Mapping[str, Any]) -> Iterator[Option]:
    """Recipes on the built-in digits at 32 px."""
    for recipe, found in document["raw"].items():
        variant = "mixed" if recipe.startswith("mixed") else EIGHT_BITS
        at = found.get("conditions") or document["conditions"]
        cpu, by = _cpu(at), "benchmarks/recipes.py"
        figures = {
            "latency_ms": Figure(found["latency_ms"][variant], "ms", MEASURED, by, cpu),
            "size_mb": Figure(found["size_bytes"][variant] / 1e6, "MB", MEASURED, by, cpu),
            "top1": Figure(100 * found["top1"][variant], "%", MEASURED, by, f"{found['n']} digits of 8 px"),
        }
        if arena := (found.get("arena_bytes") or {}).get(variant):
            figures["arena_kb"] = Figure(arena / 1e3, "kB", MEASURED, by, ARENA)
        model = "resnet8" if recipe in ("distil-int8", "distil-channels-qat", "mcu-tiny") else DEFAULT
        yield Option(recipe, model, 32, variant, figures)


def _zoo(document: Mapping[str, Any]) -> Iterator[Option]:
    """Networks at their default width with 10 classes: size and latency measured, accuracy as published."""
    for row in document["raw"]:
        name, published = find(row["model"])[0], ZOO[find(row["model"])[0]].imagenet
        pretrained = bool(published and published.origin)
        recipe = default_recipe(name, "imagenet" if pretrained else None)
        yield Option(recipe, name, row["image_size"], row["variant"], _zoo_figures(row, published), pretrained)


def _zoo_figures(row: Mapping[str, Any], published: Imagenet | None) -> dict[str, Figure]:
    by, doubt = "benchmarks/zoo.py", "" if row["verdict"] == "steady" else row["verdict"]
    on = f"{_cpu(row['conditions'])}, {row['threads']} thread"
    figures = {
        "latency_ms": Figure(row["latency_ms"]["median"], "ms", MEASURED, by, on, doubt),
        "size_mb": Figure(row["size_bytes"] / 1e6, "MB", MEASURED, by, f"{row['classes']} classes"),
    }
    if row["arena_bytes"]:
        figures["arena_kb"] = Figure(row["arena_bytes"] / 1e3, "kB", MEASURED, by, ARENA)
    if published:
        figures["top1"] = Figure(
            published.top1, "%", PUBLISHED, published.source, "ImageNet, float32, the published size"
        )
    return figures


SOURCES: dict[str, Callable[[Mapping[str, Any]], Iterator[Option]]] = {"recipes.json": _recipes, "zoo.json": _zoo}


def _cpu(conditions: Mapping[str, Any]) -> str:
    return " and ".join(conditions["cpu"]) or "a CPU that does not say its name"


# ---- the judgement --------------------------------------------------------------------------------------------------

# A limit, the figure it is of, and whether the figure may not be above it.
LIMITS = (
    ("max_latency_ms", "latency_ms", "latency", True),
    ("max_size_mb", "size_mb", "size", True),
    ("max_arena_kb", "arena_kb", "arena", True),
    ("min_top1", "top1", "top-1", False),
)
OF_SIZE = ("latency_ms", "arena_kb")  # they change with the image size, and are known at the measured one alone


def _judged(option: Option, asked: Asked) -> Option:
    unknown, over = [], []
    for limit, name, what, upper in LIMITS:
        wanted, found = getattr(asked, limit), option.figures.get(name)
        if wanted is None:
            continue
        if found is None or not _applies(option, name, asked):
            unknown.append(what)
        elif (found.value > wanted) if upper else (found.value < wanted):
            over.append(f"{what} {found.text()}, asked {'at most' if upper else 'at least'} {wanted:g} {found.unit}")
    return Option(**{**vars(option), "unknown": tuple(unknown), "over": tuple(over)})


def _applies(option: Option, name: str, asked: Asked) -> bool:
    if name == "latency_ms" and asked.device != "cpu":
        return False
    return name not in OF_SIZE or option.image_size == asked.image_size


def _rank(option: Option, asked: Asked) -> tuple[Any, ...]:
    """Fewer unknowns; the image size that is asked for; ImageNet weights where images are few and large enough; then
    the more accurate, the faster, the smaller."""
    few = asked.images is not None and asked.images <= FEW and asked.image_size >= SMALL
    value = {name: figure.value for name, figure in option.figures.items()}
    return (
        len(option.unknown),
        abs(option.image_size - asked.image_size),
        few and not option.pretrained,
        -value.get("top1", 0.0),
        value.get("latency_ms", float("inf")),
        value.get("size_mb", float("inf")),
        option.name,
    )


def _why(ranked: Sequence[Option], asked: Asked, folder: Path) -> tuple[str, ...]:
    if not ranked:
        return (NOTHING,)
    first = ranked[0]
    told = [f"{first.name}: {_known(first)}."]
    if first.unknown:
        what = " and ".join(first.unknown)
        where = f"at {asked.image_size} px on {asked.device}"
        told.append(f"Whether it meets the budget is not known: nobody measured its {what} {where}.")
    if asked.images is not None and asked.images <= FEW and first.pretrained:
        told += _head_start(folder)
    if len(ranked) > 1:
        told.append(f"The runner-up is {ranked[1].name}: {_known(ranked[1])}.")
    return tuple(told)


def _head_start(folder: Path) -> list[str]:
    """What starting from ImageNet weights gave where images were few, as measured."""
    path = folder / FINE_TUNING
    if not path.is_file():
        return []
    jobs = json.loads(path.read_bytes())["raw"]["jobs"]
    tuned, scratch = (100 * jobs[name]["top1"]["value"] for name in ("fine-tuned", "from scratch"))
    return [f"It starts from ImageNet weights, which counts where images are few: on 100 images a class of CIFAR-10 "
            f"EfficientNet-Lite0 reached {tuned:.1f} % fine-tuned and {scratch:.1f} % from scratch "
            f"({MEASURED}: benchmarks/fine_tuning.py)."]  # fmt: skip


def _known(option: Option) -> str:
    names = {"top1": "top-1", "latency_ms": "latency", "size_mb": "size", "arena_kb": "arena"}
    return "; ".join(f"{what} {option.figures[name].text()}" for name, what in names.items() if name in option.figures)


def _not_known(fitting: Sequence[Option], asked: Asked) -> tuple[str, ...]:
    told = ["top-1 on your images: `edgekit compress` measures it on those that it holds back."]
    if asked.device != "cpu":
        told.append(f"any latency on {asked.device}: `edgekit bench FILE --device {asked.device}` measures it.")
    else:
        told.append("the latency on another CPU than the one beside each figure: `edgekit bench FILE` measures it.")
    if not any(option.image_size == asked.image_size for option in fitting):
        size = asked.image_size
        told.append(f"latency and arena at {size} px: benchmarks/zoo.py --image-size {size} measures them.")
    return tuple(told)
