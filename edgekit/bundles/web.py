"""The bundle for browsers: a page with LiteRT.js that asks no other server for anything."""

from __future__ import annotations

from pathlib import Path

from edgekit.bundles import litertjs
from edgekit.bundles.archive import Files
from edgekit.bundles.resources import MODEL, model_json, pictures, readme, templates
from edgekit.bundles.shipped import Shipped
from edgekit.errors import BadInput


def files(shipped: Shipped, packages: Path | None) -> Files:
    """`packages`: a node_modules folder with LiteRT.js. Raises BadInput where there is none, and for an open
    batch: with a signature, or shapes that follow from it, LiteRT.js takes no single image."""
    found = shipped.inspection
    if found.open_batch and (found.signatures or found.dynamic):
        raise BadInput(
            f"{found.file} has an open batch, which LiteRT.js does not take.", "Export it with edgekit: batch 1."
        )
    versions = {litertjs.CORE: litertjs.VERSION}
    return {
        **templates("web", "index.html", "style.css", "app.js", "classifier.js", "preprocess.js"),
        **litertjs.copied(packages),
        MODEL: shipped.content,
        "model.json": model_json(shipped, versions),
        "README.md": readme("web", shipped, versions),
        **pictures(shipped),
    }
