"""Runs every benchmark in a process of its own, one after the other, then writes the README's table.

python benchmarks/run.py [NAME ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import readme

BENCHMARKS = ("startup", "conversion", "evaluation", "default_job", "recipes", "fidelity", "busy", "ab")


def main() -> int:
    here = Path(__file__).parent
    failed = []
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, here / f"{name}.py"]).returncode:
            failed.append(name)
    readme.write()
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
