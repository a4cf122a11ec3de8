"""The bundle for a Raspberry Pi: a Python client, with the very files that edgekit itself prepares pictures by."""

from __future__ import annotations

from importlib import resources

from edgekit.bundles.archive import Files
from edgekit.bundles.resources import MODEL, model_json, pictures, readme, template
from edgekit.bundles.shipped import Shipped

VERSIONS = {"ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0", "numpy": "2.4.6", "pillow": "13.0.0"}
# They import nothing of edgekit.
OWN = {"preparing.py": ("edgekit.data", "preparing.py"), "quantization.py": ("edgekit.runtime", "quantization.py")}


def files(shipped: Shipped) -> Files:
    return {
        "classify.py": template("rpi", "classify.py"),
        **{path: resources.files(room).joinpath(name).read_bytes() for path, (room, name) in OWN.items()},
        "requirements.txt": template("rpi", "requirements.txt"),
        MODEL: shipped.content,
        "model.json": model_json(shipped, VERSIONS),
        "README.md": readme("rpi", shipped, VERSIONS),
        **pictures(shipped),
    }
