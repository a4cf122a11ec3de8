"""A gate as SARIF 2.1.0 (OASIS), which code scanning shows: a result a rule that is not passed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgekit import __version__
from edgekit.gating.gate import Gate
from edgekit.rules import RULES, Checked, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"broken": "error", "unmeasured": "error", "unclear": "warning"}


def sarif(found: Gate) -> str:
    names = [name for name in RULES if any(one.rule.name == name for one in found.checked)]
    driver = {"name": "edgekit", "version": __version__, "rules": [_rule(RULES[name]) for name in names]}
    results = [_result(one, names) for one in found.checked if one.state in LEVELS]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    way = "at least" if rule.least else "at most"
    text = f"{rule.about}: {way} the limit."
    return {
        "id": rule.name,
        "name": "".join(part.capitalize() for part in rule.name.split("_")),
        "shortDescription": {"text": rule.about},
        "fullDescription": {"text": text},
        "help": {"text": text},
        "defaultConfiguration": {"level": "error"},
    }


def _result(one: Checked, names: list[str]) -> dict[str, Any]:
    """A binary file has no lines; viewers want one."""
    place = {"artifactLocation": {"uri": _uri(one.file)}, "region": {"startLine": 1}}
    return {
        "ruleId": one.rule.name,
        "ruleIndex": names.index(one.rule.name),
        "level": LEVELS[one.state],
        "message": {"text": f"{one.sentence}."},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"edgekitGate/v1": f"{one.rule.name}:{Path(one.file).name}"},
    }


def _uri(file: str) -> str:
    """Relative to where the gate runs, where the file lies below it; a path as it was given else."""
    path = Path(file)
    if path.is_absolute():
        if not path.is_relative_to(Path.cwd()):
            return path.as_uri()
        path = path.relative_to(Path.cwd())
    return quote(path.as_posix())
