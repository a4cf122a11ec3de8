"""The bundle for Android: Kotlin sources, assets, and what Gradle needs."""

from __future__ import annotations

from edgekit.bundles.archive import Files
from edgekit.bundles.literals import double, kotlin_string, single, yes
from edgekit.bundles.resources import MODEL, pictures, readme, templates, texts
from edgekit.bundles.shipped import Shipped
from edgekit.runtime.inspection import Port

VERSIONS = {"litert": "2.3.0", "min_sdk": "28"}
SOURCES, ASSETS = "src/main/java/edgekit", "src/main/assets/edgekit"


def files(shipped: Shipped) -> Files:
    sources = {
        **templates("android", "Preprocess.kt", "SelfCheck.kt", "Classifier.kt"),
        "Model.kt": _model(shipped).encode(),
    }
    assets = {MODEL: shipped.content, **texts(shipped), **pictures(shipped)}
    return {
        **{f"{SOURCES}/{name}": content for name, content in sources.items()},
        **{f"{ASSETS}/{name}": content for name, content in assets.items()},
        **templates("android", "dependencies.gradle.kts"),
        "README.md": readme("android", shipped, VERSIONS),
    }


def _model(shipped: Shipped) -> str:
    feed = shipped.preprocess
    mean, std = (", ".join(f"{single(one)}f" for one in three) for three in (feed.mean, feed.std))
    crcs = ", ".join(f"{one.pixels_crc32}L" for one in shipped.examples)
    return f"""package edgekit

/** Made by `edgekit bundle` for one model. */
object Model {{
    const val NAME = {kotlin_string(shipped.name)}
    const val SHA256 = {kotlin_string(shipped.sha256)}
    const val FOLDER = "edgekit/" // of the assets
    const val FILE = {kotlin_string(MODEL)}
    val preprocess = Preprocess(
        width = {feed.width},
        height = {feed.height},
        bgr = {yes(feed.channels == "bgr")},
        resize = {kotlin_string(feed.resize)},
        antialias = {yes(feed.antialias)},
        centerCrop = {yes(feed.crop == "center")},
        mean = floatArrayOf({mean}),
        std = floatArrayOf({std})
    )
{_end("INPUT", shipped.input)}
{_end("OUTPUT", shipped.output)}
    const val TOLERANCE = {single(shipped.tolerance)}f
    val GOLDEN_CRC32 = longArrayOf({crcs}) // of the resized pixels of golden/0.png ...
}}
"""


def _end(name: str, port: Port) -> str:
    """real = (code - zero point) * scale; no scale is float32."""
    scale = "null" if port.scale is None else double(port.scale)
    return f"""    val {name}_SCALE: Double? = {scale}
    const val {name}_ZERO_POINT = {port.zero_point or 0}
    const val {name}_SIGNED = {yes(port.dtype == "int8")}"""
