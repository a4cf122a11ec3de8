"""`--custom FILE.py`: the layers and functions that a user's model needs, from a file that the user trusts.

It is run as any Python file is. What stands in a model file itself is never run, with or without it.
"""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput
from edgekit.models.backend import import_keras

MODULE = "edgekit_custom"


def load_custom(path: str | Path | None) -> dict[str, Any]:
    """Name -> class or function: those defined in the file and those it registers with Keras ("package>Name").

    Empty for None. Raises BadInput when there is no such file or it raises.
    """
    if path is None:
        return {}
    path = Path(path)
    keras = import_keras("Loading a model")
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BadInput(f"There is no Python file {path}.", "--custom takes a .py file with the model's own layers.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file is the user's: whatever it raises
        raise BadInput(f"{path} cannot be imported: {type(error).__name__}: {error}.", "Correct the file.") from error
    own = {
        name: value
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == MODULE
    }
    return {**own, **keras.saving.get_custom_objects()}
