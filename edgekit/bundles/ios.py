"""The bundle for iOS: Swift sources and resources. There is no Swift compiler where it is made: its README says so."""

from __future__ import annotations

from edgekit.bundles.archive import Files
from edgekit.bundles.literals import double, single, swift_string, yes
from edgekit.bundles.resources import MODEL, pictures, readme, templates, texts
from edgekit.bundles.shipped import Shipped
from edgekit.runtime.inspection import Port

VERSIONS = {"TensorFlowLiteSwift": "2.17.0"}
RUNTIME = "2.17"  # the release of TensorFlow Lite that this is


def files(shipped: Shipped) -> Files:
    sources = {
        **templates("ios", "Preprocess.swift", "Classifier.swift"),
        "Model.swift": _model(shipped).encode(),
    }
    resources = {MODEL: shipped.content, **texts(shipped), **pictures(shipped)}
    return {
        **{f"Sources/{name}": content for name, content in sources.items()},
        **{f"Resources/{name}": content for name, content in resources.items()},
        **templates("ios", "Podfile"),
        "README.md": readme("ios", shipped, VERSIONS),
    }


def _model(shipped: Shipped) -> str:
    feed = shipped.preprocess
    mean, std = (", ".join(single(one) for one in three) for three in (feed.mean, feed.std))
    crcs = ", ".join(str(one.pixels_crc32) for one in shipped.examples)
    return f"""// Made by `edgekit bundle` for one model.

enum Model {{
    static let name = {swift_string(shipped.name)}
    static let sha256 = {swift_string(shipped.sha256)}
    static let file = {swift_string(MODEL)}
    static let preprocess = Preprocess(
        width: {feed.width},
        height: {feed.height},
        bgr: {yes(feed.channels == "bgr")},
        resize: {swift_string(feed.resize)},
        antialias: {yes(feed.antialias)},
        centerCrop: {yes(feed.crop == "center")},
        mean: [{mean}],
        std: [{std}])
{_end("input", shipped.input)}
{_end("output", shipped.output)}
    static let tolerance: Float = {single(shipped.tolerance)}
    static let goldenCrc32: [UInt32] = [{crcs}]  // of the resized pixels of golden/0.png ...
}}
"""


def _end(name: str, port: Port) -> str:
    """real = (code - zero point) * scale; no scale is float32."""
    scale = "nil" if port.scale is None else double(port.scale)
    return f"""    static let {name}Scale: Double? = {scale}
    static let {name}ZeroPoint = {port.zero_point or 0}
    static let {name}Signed = {yes(port.dtype == "int8")}"""
