"""The files that several targets share: model, labels, golden vectors, model.json, and the README."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from importlib import resources
from typing import Any

import edgekit
from edgekit.bundles.archive import Files
from edgekit.bundles.literals import single
from edgekit.bundles.shipped import Shipped
from edgekit.runtime.inspection import Port

MODEL = "model.tflite"
NO_LICENCE = "not stated in the file: ask whoever made the model, and its training data"


def template(target: str, name: str) -> bytes:
    return (resources.files("edgekit.bundles") / "templates" / target / name).read_bytes()


def templates(target: str, *names: str) -> dict[str, bytes]:
    return {name: template(target, name) for name in names}


def readme(target: str, shipped: Shipped, versions: Mapping[str, str]) -> bytes:
    """The target's README with what is particular to the model."""
    feed, about = shipped.preprocess, shipped.about
    facts = {
        "name": shipped.name, "target": target, "edgekit": edgekit.__version__, "sha256": shipped.sha256,
        "size": f"{len(shipped.content):,}", "classes": str(len(shipped.labels)),
        "licence": about["license"] or NO_LICENCE, "author": about["author"] and f", by {about['author']}",
        "version": about["version"] and f", version {about['version']}",
        "input": shipped.input.dtype, "output": shipped.output.dtype,
        "width": str(feed.width), "height": str(feed.height), "channels": feed.channels.upper(),
        "resize": feed.resize + (", antialiased" if feed.antialias and feed.resize != "nearest" else ""),
        "crop": "the largest centred square" if feed.crop == "center" else "none",
        "mean": ", ".join(f"{one:g}" for one in feed.mean), "std": ", ".join(f"{one:g}" for one in feed.std),
        "golden": str(len(shipped.examples)), "tolerance": f"{shipped.tolerance:.3g}",
        **{name.strip("@").replace("/", "_").replace("-", "_"): version for name, version in versions.items()},
    }  # fmt: skip
    text = string.Template(template(target, "README.md").decode() + template("", "ABOUT.md").decode())
    return text.substitute({name: _inline(value) for name, value in facts.items()}).encode()


def _inline(value: str) -> str:
    """Text out of a file, as Markdown shows it literally."""
    return "".join(f"&#{ord(one)};" if one in "&<>`*[]|\\" else one for one in value)


def model_json(shipped: Shipped, versions: Mapping[str, str]) -> bytes:
    """What a client that reads JSON knows of the model."""
    about = {
        "name": shipped.name, "file": MODEL, "sha256": shipped.sha256, "size_bytes": len(shipped.content),
        "licence": shipped.about["license"], "edgekit": edgekit.__version__, "versions": dict(versions),
        "preprocessing": shipped.preprocess.model_dump(mode="json"), "input": _end(shipped.input),
        "output": _end(shipped.output), "meaning": shipped.meaning, "labels": list(shipped.labels),
        "tolerance": shipped.tolerance,
        "golden": [
            {"image": f"golden/{number}.png", "pixels_crc32": one.pixels_crc32, "scores": list(one.scores)}
            for number, one in enumerate(shipped.examples)
        ],
    }  # fmt: skip
    return (json.dumps(about, indent=1, allow_nan=False) + "\n").encode()


def _end(port: Port) -> dict[str, Any]:
    return {"shape": list(port.shape), "dtype": port.dtype, "scale": port.scale, "zero_point": port.zero_point}


def pictures(shipped: Shipped) -> Files:
    return {f"golden/{number}.png": one.picture for number, one in enumerate(shipped.examples)}


def texts(shipped: Shipped) -> Files:
    """Labels and scores, a line each: for clients that would need a library to read JSON."""
    labels = "".join(f"{one}\n" for one in shipped.labels).encode()
    scores = {
        f"golden/{number}.txt": "".join(f"{single(score)}\n" for score in one.scores).encode()
        for number, one in enumerate(shipped.examples)
    }
    return {"labels.txt": labels, **scores}
