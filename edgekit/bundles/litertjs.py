"""LiteRT.js for the web bundle, copied out of packages that are installed here: nothing is fetched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from edgekit.bundles.archive import Files
from edgekit.errors import BadInput

CORE, WASM_UTILS, VERSION = "@litertjs/core", "@litertjs/wasm-utils", "2.5.3"
# The builds that a page without threads loads: the second where a browser lacks relaxed SIMD.
BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")
PLACES = {
    "litert/core.js": f"{CORE}/dist/index.js",
    "litert/wasm-utils.js": f"{WASM_UTILS}/dist/index.js",
    **{f"litert/wasm/{name}{end}": f"{CORE}/wasm/{name}{end}" for name in BUILDS for end in (".js", ".wasm")},
}
HOW = f"Run: npm install {CORE}@{VERSION} {WASM_UTILS}@{VERSION}, or edgekit runtime add browser"


def copied(packages: Path | None) -> Files:
    """`packages`: a node_modules folder; else the first that is found. Raises BadInput where there is none, or another
    version."""
    found = next(
        (one for one in ([packages] if packages else _likely()) if (one / CORE / "package.json").is_file()), None
    )
    if found is None:
        where = f"is not in {packages}" if packages else "is not installed here"
        raise BadInput(f"The web bundle needs LiteRT.js, which {where}.", HOW)
    for name in (CORE, WASM_UTILS):
        _check_version(found / name / "package.json", name)
    try:
        return {path: (found / place).read_bytes() for path, place in PLACES.items()}
    except FileNotFoundError as error:
        raise BadInput(f"LiteRT.js in {found} is not whole: {error.filename} is missing.", HOW) from None


def _likely() -> Iterator[Path]:
    """From here upward, as Node.js looks for packages, then where `edgekit runtime add browser` puts them."""
    here = Path.cwd()
    yield from (folder / "node_modules" for folder in (here, *here.parents))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    yield Path(os.environ.get("EDGEKIT_RUNTIMES") or cache / "edgekit" / "runtimes") / "browser" / "node_modules"


def _check_version(package: Path, name: str) -> None:
    try:
        version = json.loads(package.read_text("utf-8"))["version"]
    except (OSError, ValueError, LookupError, TypeError):
        raise BadInput(f"{package} cannot be read.", HOW) from None
    if version != VERSION:
        raise BadInput(f"{package.parent} is {name} {version}; the bundle is made for {VERSION}.", HOW)
