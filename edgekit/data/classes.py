"""The classes of a model, in the order of its outputs, and how those of a data set are matched with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.errors import BadInput


@dataclass(frozen=True)
class Classes:
    """`names` are all different; `also`: other names that data sets use for a class -> its position."""

    names: tuple[str, ...]
    also: Mapping[str, int] = field(default_factory=dict)

    def positions(self, given: Sequence[str], where: str, *, counted: bool = False) -> np.ndarray:
        """int64 [n]: the position of each of a data set's class names; `counted` ones are positions themselves.

        Raises BadInput, naming them, for classes that the model does not know. `where` names the data.
        """
        known = {**self.also, **{name: i for i, name in enumerate(self.names)}}
        if counted:
            known = {str(i): i for i in range(len(self.names))}
        strange = [name for name in given if name not in known]
        if strange:
            fact = f"{where} has classes the model does not know: {_some([repr(name) for name in strange], 5)}."
            raise BadInput(fact, f"The model's {len(self.names)} classes are: {_some(self.names, 10)}.")
        return np.array([known[name] for name in given], dtype=np.int64)


def read_classes(path: str | Path) -> Classes:
    """A text file with the name of a class a line, in the order of the model's outputs. Raises BadInput."""
    path = Path(path).expanduser()
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The labels {path} cannot be read: {error}.", "Give a text file, one class a line.") from None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(names) < 2:
        fact = f"{path} has {f'{twice[0]!r} twice' if twice else f'{len(names)} classes'}."
        raise BadInput(fact, "Give each class of the model a line and a name of its own.")
    return Classes(names)


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
