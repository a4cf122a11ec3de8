"""How often edgekit bench is right: two copies of one file, and a file against one that is about 10 % slower.

python benchmarks/ab.py [--trials 20] [--protocol default] [--baseline-processes 10] [--ways beside earlier]

The slower one is the same network with more channels, chosen by its measured latency. Both ways to compare are tried:
side by side, which the comparison and the gate (--baseline FILE.tflite) judge by, and the gate against a result of an
earlier measurement, which needs a machine that is as fast then as now. With --ways one of them alone is tried anew, and
the other's result stays.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from random_networks import random_file
from record import claim, conditions, earlier, save

from edgekit.measurement.bench import bench, side_by_side
from edgekit.measurement.compare import NONE_FOUND
from edgekit.measurement.gate import gate, gate_beside

NETWORK, SIZE, ALPHA = "mobilenet_v1", 96, 0.5
WIDER = (0.52, 0.53, 0.535, 0.54, 0.55)  # channels are multiples of 8: 3 to 13 % slower, each another network
CHOSEN_BY = 30  # pairs of processes: it is to be 10 % slower in truth, not by chance
SLOWER = 1.10
LIMIT_PERCENT = 5.0


def models(folder: Path) -> tuple[Path, Path, Path, float]:
    """The file, a copy of it, one of about 1.1 times its latency under the same name, and by how much."""
    plain = random_file(NETWORK, SIZE, folder / "plain", alpha=ALPHA)
    copy = folder / "copy" / plain.name
    copy.parent.mkdir()
    shutil.copy(plain, copy)
    wider = [random_file(NETWORK, SIZE, folder / f"wider-{alpha}", alpha=alpha) for alpha in WIDER]
    found = side_by_side([plain, *wider], processes=CHOSEN_BY).comparisons
    nearest = min(found, key=lambda one: abs(one.ratio - SLOWER))
    return plain, copy, Path(nearest.file), nearest.ratio


def beside_trial(number: int, files: tuple[Path, Path, Path], given: argparse.Namespace) -> dict[str, Any]:
    """What is said of a copy and of the slower file, each in turns with the file, and what the gate says to that."""
    plain, copy, slower = files
    found = {}
    for name, file in {"copy": copy, "slower": slower}.items():
        measured = side_by_side([plain, file], protocol=given.protocol, seed=number)
        (gated,) = gate_beside([measured], LIMIT_PERCENT)
        found[name] = {**measured.comparisons[0].to_json(), "gate": gated.verdict}
    return found


def earlier_trial(_number: int, files: tuple[Path, Path, Path], given: argparse.Namespace) -> dict[str, Any]:
    """What the gate says of a copy and of the slower file, against an earlier result of the file."""
    plain, copy, slower = files
    how = {"protocol": given.protocol, "processes": given.baseline_processes}
    baseline = (bench(plain, **how),)
    limits = {"max_regression_percent": LIMIT_PERCENT, "new_version": True}
    others = {"copy": copy, "slower": slower}
    return {name: gate([bench(file, **how)], baseline, **limits)[0].to_json() for name, file in others.items()}


WAYS = {"beside": beside_trial, "earlier": earlier_trial}


def tried(way: str, files: tuple[Path, Path, Path], given: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for number in range(given.trials):
        found.append(WAYS[way](number, files, given))
        said = {name: (one["verdict"], round(one["ratio"], 3), one["n"]) for name, one in found[-1].items()}
        print(way, number, said, flush=True)
    return found


def claims(raw: dict[str, Any]) -> list[dict[str, Any]]:
    def count(way: str, name: str, **said: str) -> int:
        return sum(said.items() <= one[name].items() for one in raw[way]["trials"])

    made = [claim("the slower file takes so many times as long", next(iter(raw.values()))["slower"], "x")]
    if one := raw.get("beside"):
        n, about = len(one["trials"]), f"gate of {LIMIT_PERCENT:g} % beside the file"
        made += [
            claim(f"side by side, of {n} trials: slower is found", count("beside", "slower", verdict="slower"), "",
                  least=n),
            claim(f"side by side, of {n} trials: a copy is called different",
                  n - count("beside", "copy", verdict=NONE_FOUND), "", most=0),
            claim(f"{about}, of {n} trials: slower is found", count("beside", "slower", gate="regressed"), "", least=n),
            claim(f"{about}, of {n} trials: a copy fails", count("beside", "copy", gate="regressed"), "", most=0),
        ]  # fmt: skip
    if one := raw.get("earlier"):
        n, about = len(one["trials"]), f"gate of {LIMIT_PERCENT:g} % against an earlier result"
        made += [
            claim(f"{about}, of {n} trials: slower is found", count("earlier", "slower", verdict="regressed"), ""),
            claim(f"{about}, of {n} trials: a copy fails", count("earlier", "copy", verdict="regressed"), ""),
        ]
    return made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=20)
    arguments.add_argument("--protocol", default="default")
    arguments.add_argument("--baseline-processes", type=int, default=10)
    arguments.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    measured_under = conditions()
    raw = earlier("ab", {}) if len(given.ways) < len(WAYS) else {}
    with tempfile.TemporaryDirectory() as folder:
        *files, by = models(Path(folder))
        for way in given.ways:
            trials = tried(way, tuple(files), given)
            raw[way] = {"slower": by, "conditions": measured_under, "trials": trials}
    save("ab", claims(raw), raw, measured_under)


if __name__ == "__main__":
    main()
