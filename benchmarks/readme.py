"""The README's table of measured claims, made from results/*.json; a test holds the README to it."""

from __future__ import annotations

import json
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
RESULTS = Path(__file__).with_name("results")
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def table() -> str:
    """One row a claim, and under what conditions it was measured."""
    lines = ["| what | measured | asked |", "|---|---|---|"]
    machines = set()
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        under = found["conditions"]
        machines.add(
            f"{', '.join(under['cpu'])}, {under['cores']} cores, TensorFlow {under['packages']['tensorflow']}, "
            f"Keras {under['packages']['keras']}, LiteRT {under['packages']['ai-edge-litert']}"
        )
        for claim in found["claims"]:
            mark = {None: "", True: f"{claim['asked']}", False: f"{claim['asked']} **not met**"}[claim["met"]]
            lines.append(f"| {claim['what']} | {claim['measured']:.3g} {claim['unit']} | {mark} |")
    return "\n".join([*lines, "", f"Measured on: {'; '.join(sorted(machines))}."])


def with_table(text: str) -> str:
    """The README with the table between its two marks renewed."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def write() -> None:
    README.write_text(with_table(README.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
