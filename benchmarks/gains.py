"""What following an advice of `edgekit bench --profile` was measured to bring, from results/*.json into the package.

python benchmarks/gains.py; a test holds edgekit/measurement/gains.json to it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from edgekit.artifact import write_json

RESULTS = Path(__file__).with_name("results")
GAINS = Path(__file__).parents[1] / "edgekit" / "measurement" / "gains.json"
INTERVAL = re.compile(r" \(95 %: ([\d.]+) to ([\d.]+)\)")
# Name of the advice -> (file of results, pattern of the claims: its group is what was measured).
CLAIMS = {
    "hard-swish-int8": ("hard_swish", r"(.* px), int8 rewritten, faster than int8 without"),
    "dynamic-range-x86": ("profile_v3", r"(.* px), int8, faster than dynamic range"),
    "int16x8": ("profile_v3", r"(.* px), int8, faster than int16x8"),
    "float16-weights": ("profile_v3", r"(.* px), int8, faster than float16"),
}


def gains() -> dict[str, list[dict[str, Any]]]:
    """Name of the advice -> the recorded gains; names without one are left out."""
    found = {name: _of(RESULTS / f"{file}.json", pattern) for name, (file, pattern) in CLAIMS.items()}
    return {name: rows for name, rows in found.items() if rows}


def _of(path: Path, pattern: str) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    results = json.loads(path.read_text("utf-8"))
    cpu, rows = ", ".join(results["conditions"]["cpu"]), []
    for claim in results["claims"]:
        told, interval = re.match(pattern, claim["what"]), INTERVAL.search(claim["what"])
        if told and claim["unit"] == "x":
            ci95 = [float(end) for end in interval.groups()] if interval else None
            rows.append({"what": told.group(1), "times": claim["measured"], "ci95": ci95, "cpu": cpu})
    return rows


if __name__ == "__main__":
    write_json(GAINS, gains())
