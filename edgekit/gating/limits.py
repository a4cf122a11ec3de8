"""Limits for the rule table, from a YAML file."""

from __future__ import annotations

import difflib
import math
from pathlib import Path

from edgekit.errors import BadInput
from edgekit.rules import RULES
from edgekit.yaml_lines import mapping_of


def read_limits(path: Path) -> dict[str, float]:
    """`max_drop_points: 1.0` and the like, a rule a line. Raises BadInput with the file and the line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as text: {error}.", "Give a YAML file in UTF-8.") from None
    values, lines = mapping_of(text, path)
    for name, value in values.items():
        where = f"{path}:{lines.get((str(name),))}"
        if name not in RULES:
            close = difflib.get_close_matches(str(name), RULES, n=1, cutoff=0.0)
            raise BadInput(f"{where}: unknown rule {name!r}.", f"Nearest: {close[0]!r}. Known: {', '.join(RULES)}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise BadInput(f"{where}: {name} is {value!r}, no number of 0 or more.", RULES[name].about + ".")
    if not values:
        raise BadInput(f"{path} has no rule.", f"Known: {', '.join(RULES)}.")
    return {name: float(value) for name, value in values.items()}
