"""Start-up: `edgekit --help`, median of ten, beside what Python itself takes.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from record import claim, conditions, in_turn, save

ROUNDS = 10


def main() -> None:
    measured_under = conditions()

    def run(*command: str) -> None:
        subprocess.run([sys.executable, *command], check=True, capture_output=True)

    works = {
        "edgekit --help": lambda: run("-m", "edgekit", "--help"),
        "python -c pass": lambda: run("-c", "pass"),
    }
    for work in works.values():
        work()  # the first run compiles and fills the disk cache
    seconds = in_turn(works, ROUNDS)
    claims = [
        claim("edgekit --help, median of 10", statistics.median(seconds["edgekit --help"]), "s", most=0.3),
        claim("python -c pass, median of 10", statistics.median(seconds["python -c pass"]), "s"),
    ]
    save("startup", claims, seconds, measured_under)


if __name__ == "__main__":
    main()
