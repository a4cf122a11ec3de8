"""What else a reader needs to trust and to use the numbers: (term, text) pairs that every report shows alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgekit.preprocess import Preprocess
from edgekit.recipe import Recipe
from edgekit.report import wording

Results = Mapping[str, Any]
Facts = list[tuple[str, str]]
SPLITS = {"train": "to train on", "val": "to validate", "test": "to test"}
UNTRAINED = {"calibration": "to calibrate", "val": "to verify", "held_out": "to verify", "test": "to test"}


def conditions(results: Results) -> Facts:
    """What latency and memory were measured on, and how."""
    measured = results["latency"][results["variants"][0]["variant"]]
    at = measured[0]["conditions"]
    bench = results["recipe"]["bench"]
    runs = [row["latency_ms"]["n"] for row in results["variants"]]
    many = f"{min(runs):,}" if min(runs) == max(runs) else f"{min(runs):,} to {max(runs):,}"
    facts = [
        ("CPU", f"{at['cpu'] or at['machine']} ({at['machine']}, {wording.counted(at['cores'], 'usable core')})"),
        ("System", f"{at['system']}, Python {at['python']}, numpy {at['numpy']}"),
        ("Runtime", f"{at['runtime']}, {_delegates(results)}"),
        ("Threads", " and ".join(str(one["threads"]) for one in measured)),
        (
            "Runs",
            f"{many} timed runs of one image a variant, "
            f"in {wording.counted(bench['processes'], 'fresh process', 'fresh processes')}",
        ),
        ("Latency", "the time of one inference, without decoding or resizing; the median with its 95 % interval"),
    ]
    if at["load"] is not None:
        facts.append(("Load", f"{at['load']:.2f} (1-minute average at the time)"))
    if measured[0]["heap_bytes"] is None:
        facts.append(("Memory", measured[0]["memory_reason"]))
    return facts


def usage(results: Results) -> Facts:
    """How to feed the chosen file (without one: the reference) and read its answer."""
    row = next((row for row in results["variants"] if row["chosen"]), results["variants"][0])
    names, io, feed = results["dataset"]["class_names"], row["io"], results["dataset"]["preprocess"]
    real = "" if io == "float32" else "; real = (value - zero_point) * scale, as the tensor and the card say"
    meaning = "probabilities" if row["output_meaning"] == "probabilities" else "as the model gives it"
    return [
        ("File", row["file"] + ("" if row["chosen"] else " (nothing was chosen; this is the reference)")),
        ("SHA-256", row["sha256"]),
        *[("Input", f"{_tensor(one)}{_values(feed, io)}") for one in row["inputs"]],
        *([("Preprocessing", preprocessing(Preprocess.model_validate(feed), io))] if feed else []),
        *[("Output", f"{_tensor(one)}, {meaning}{real}") for one in row["outputs"]],
        ("Into an app", f"edgekit bundle {row['file']} --for android, or ios, web, rpi, mcu; in the folder of the run"),
        *([("Classes", f"in this order: {wording.listed(names)}")] if names else []),
    ]


def _tensor(spec: Mapping[str, Any]) -> str:
    return f"{spec['dtype']} {list(spec['shape'])}"


def _values(feed: Mapping[str, Any] | None, io: str) -> str:
    if feed is None:
        return ", as the model takes it"
    channels = feed["channels"].upper()
    values = {"float32": "normalized values", "uint8": f"raw {channels} pixels 0 to 255",
              "int8": f"{channels} pixels minus 128"}  # fmt: skip
    return f", {values[io]}"


def preprocessing(feed: Preprocess, io: str) -> str:
    """The sentence an app developer implements."""
    crop = "crop to the largest centred square, " if feed.crop == "center" else ""
    smooth = "" if feed.resize == "nearest" else (", antialiased" if feed.antialias else ", not antialiased")
    steps = (
        f"Decode, rotate by EXIF, convert to RGB, {crop}resize to {feed.height} x {feed.width} ({feed.resize}{smooth})"
    )
    swap = "" if feed.channels == "rgb" else ", put the channels in the order B, G, R"
    if io != "float32":
        last = "feed the pixels as they are" if io == "uint8" else "subtract 128"
        return f"{steps}{swap}, then {last}: the normalization is inside the graph."
    if feed.mean == (0, 0, 0) and feed.std == (1, 1, 1):
        return f"{steps}{swap}; feed pixels 0 to 255 as floats."
    return f"{steps}{swap}, then (pixel - {_each(feed.mean)}) / {_each(feed.std)}, pixels being 0 to 255."


def data(results: Results) -> Facts:
    """Images of each split, class balance, what could not be read."""
    found = results["dataset"]
    counts, sizes = found["class_counts"], found["sizes"]
    damaged = ("Damaged files", f"{len(found['damaged']):,} left out" if found["damaged"] else "none")
    if not results["training"]["history"] or not found["class_names"]:
        known = wording.counted(len(found["class_names"]), "class", "classes")
        return [("Samples", ", ".join(f"{n:,} {UNTRAINED[s]}" for s, n in sizes.items() if s in UNTRAINED)),
                ("Classes", known if found["class_names"] else wording.NO_LABELS), damaged]  # fmt: skip
    facts = [
        ("Images", ", ".join(f"{sum(counts[split]):,} {why}" for split, why in SPLITS.items() if split in counts)),
        ("Classes", wording.counted(len(found["class_names"]), "class", "classes")),
    ]
    train = counts["train"]
    few, many = min(range(len(train)), key=train.__getitem__), max(range(len(train)), key=train.__getitem__)
    even = f"from {train[few]:,} ({found['class_names'][few]}) to {train[many]:,} ({found['class_names'][many]})"
    facts.append(
        (
            "Balance",
            f"{train[few]:,} images of every class to train on"
            if train[few] == train[many]
            else f"{even} images of a class to train on",
        )
    )
    return [*facts, damaged]


def made(results: Results) -> Facts:
    """What it takes to make the same files again."""
    changed = "; ".join(f"{field} = {_plain(value)}" for field, value in recipe_changes(results["recipe"]))
    return [
        ("Recipe", changed or "the defaults"),
        ("Seed", str(results["recipe"]["seed"])),
        ("Data", f"{results['data']}, SHA-256 {results['data_sha256']}"),
        ("Recipe's SHA-256", results["recipe_sha256"]),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions(results).items())),
        ("Started", results["started"]),
        *([("Finished", results["finished"])] if results["finished"] else []),
    ]


def versions(results: Results) -> dict[str, str]:
    """edgekit, what made the files (where results say so) and what ran them."""
    at = results["latency"][results["variants"][0]["variant"]][0]["conditions"]
    runtime, _, version = at["runtime"].partition(" ")
    return {
        "edgekit": results["edgekit"],
        **results.get("versions", {}),
        runtime: version,
        "numpy": at["numpy"],
        "python": at["python"],
    }


PARITY_TITLES = ("Variant", "Verified", "Same answer", "Images", "SQNR dB", "Largest difference", "Tensors")


def parity(results: Results) -> list[list[str]]:
    """Each file against the model that it was exported from: a row a variant, under PARITY_TITLES."""
    rows = []
    for row in results["variants"]:
        found = row["parity"]
        kinds = ", ".join(f"{count} {dtype}" for dtype, count in found["dtypes"].items())
        noise = "equal" if found["sqnr_db"] is None else f"{found['sqnr_db']:.1f}"
        rows.append(
            [
                row["variant"],
                "yes" if found["verified"] else "no",
                "no classes" if found["agreement"] is None else wording.percent(found["agreement"]),
                f"{found['n']:,}",
                noise,
                f"{found['max_abs']:.2g}",
                kinds,
            ]
        )
    return rows


def training(results: Results) -> Facts:
    """Epochs, time and where the curves ended."""
    found = results["training"]
    history = found["history"]
    if not history:
        return [("Epochs", "none, the model was not trained in this run")]
    best = next((row for row in history if row["epoch"] == found["best_epoch"]), history[-1])
    last = history[-1]
    facts = [
        ("Epochs", f"{len(history)}, in {wording.seconds(found['seconds'])}"),
        (f"Epoch {best['epoch']}, {'whose weights were kept' if best is not last else 'the last'}", _epoch(best)),
    ]
    facts += [("Teacher", " ".join(notes).rstrip("."))] if (notes := found.get("notes")) else []
    return facts + ([(f"Epoch {last['epoch']}, the last", _epoch(last))] if best is not last else [])


def recipe_changes(recipe: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(dotted field, value) of what differs from the defaults; the description is not a setting."""
    return [
        one for one in _changes(recipe, Recipe.model_validate({}).model_dump(mode="json")) if one[0] != "description"
    ]


def _changes(given: Mapping[str, Any], default: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        usual = default.get(name) if isinstance(default, Mapping) else None
        if isinstance(value, Mapping):
            yield from _changes(value, usual, f"{at}{name}.")
        elif value != usual:
            yield f"{at}{name}", value


def _delegates(results: Results) -> str:
    """Which variants the runtime's delegate took parts of."""
    taken: dict[str, list[str]] = {}
    for row in results["variants"]:
        delegate = results["latency"][row["variant"]][0]["conditions"]["delegate"]
        taken.setdefault(delegate["name"] or "no delegate", []).append(row["variant"])
    if len(taken) == 1:
        return next(iter(taken))
    return "; ".join(f"{name} for {', '.join(variants)}" for name, variants in taken.items())


def _epoch(row: Mapping[str, Any]) -> str:
    return (
        f"validation top-1 {wording.percent(row['val_top1'])}, loss {row['val_loss']:.4f}; "
        f"training top-1 {wording.percent(row['train_top1'])}, loss {row['train_loss']:.4f}"
    )


def _each(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else f"[{', '.join(f'{value:g}' for value in values)}]"


def _plain(value: Any) -> str:
    """A list as its values; of a list of steps their names, what they do is told apart."""
    if not isinstance(value, (list, tuple)):
        return str(value)
    return ", ".join(" and ".join(one) if isinstance(one, Mapping) else str(one) for one in value)
