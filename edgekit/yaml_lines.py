"""YAML as recipes are written in it: numbers like 2e-3, no key twice, and the line of every key and list entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from edgekit.errors import BadInput


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 2e-3 as the number it is (YAML 1.2); PyYAML's YAML 1.1 takes it for a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)$"), list("-+0123456789")
)

Lines = dict[tuple[str, ...], int | None]  # place -> line; None: not in the file


def value_of(text: str) -> Any:
    """One value. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def mapping_of(text: str, path: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping in a file, and where its keys stand. Raises BadInput with the file and the line."""
    try:
        values = yaml.load(text, _Loader)
        lines: Lines = {}
        _walk(yaml.compose(text, _Loader), (), lines, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise BadInput(f"{where}: not valid YAML: {getattr(error, 'problem', error)}.", "Correct that line.") from None
    if values is None:
        return {}, lines
    if not isinstance(values, dict):
        raise BadInput(
            f"{path}:1: a recipe is a mapping of fields, not a {type(values).__name__}.",
            "`edgekit recipes show mobilenet-int8` prints one.",
        )
    return values, lines


def _walk(node: Any, at: tuple[str, ...], lines: Lines, path: Path) -> None:
    """Notes the line of every key; refuses a key given twice, which PyYAML lets pass."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            line = key.start_mark.line + 1
            if place in lines:
                raise BadInput(f"{path}:{line}: {'.'.join(place)} is given twice.", "Keep one of them.")
            lines[place] = line
            _walk(value, place, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[*at, str(number)] = value.start_mark.line + 1
            _walk(value, (*at, str(number)), lines, path)
