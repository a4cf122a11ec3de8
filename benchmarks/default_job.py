"""The default job, `edgekit compress --model mobilenet`, from start to report, for three seeds.

python benchmarks/default_job.py [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from record import claim, conditions, save

SAMPLE_SECONDS = 0.5


def family(root: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += parents.get(found[-1], [])
    return found


def proportional_bytes(pids: list[int]) -> int:
    """Memory of the processes together, shared pages counted once (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def watch(root: int, ended: threading.Event, peak: list[int]) -> None:
    while not ended.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], proportional_bytes(family(root)))


def job(asked: list[str], out: Path) -> dict[str, Any]:
    """`edgekit compress` with what is asked: its seconds, its memory, and the figures of each variant."""
    started = time.monotonic()
    command = [sys.executable, "-m", "edgekit", "compress", *asked, "--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        ended, peak = threading.Event(), [0]
        watcher = threading.Thread(target=watch, args=(process.pid, ended, peak))
        watcher.start()
        answer = json.loads(process.communicate()[0])
        ended.set()
        watcher.join()
    rows = {row["variant"]: row for row in answer["result"]["variants"]}
    return {
        "seconds": time.monotonic() - started,
        "peak_bytes": peak[0],
        "exit_code": process.returncode,
        "training_seconds": answer["result"]["training"]["seconds"],
        "top1": {name: row["top1"]["value"] for name, row in rows.items()},
        "n": rows["int8"]["top1"]["n"],
        "size_bytes": {name: row["size_bytes"] for name, row in rows.items()},
        "latency_ms": {name: row["latency_ms"]["median"] for name, row in rows.items()},
        "arena_bytes": {name: row["arena_bytes"] for name, row in rows.items()},
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=3)
    given = arguments.parse_args()
    measured_under = conditions()
    with tempfile.TemporaryDirectory() as name:
        jobs = [
            job(["--model", "mobilenet", "--seed", str(seed)], Path(name) / str(seed)) for seed in range(given.seeds)
        ]
    lost = [round(one["n"] * (one["top1"]["float32"] - one["top1"]["int8"])) for one in jobs]
    claims = [
        claim("default job, median of the seeds", statistics.median(one["seconds"] for one in jobs), "s", most=90),
        claim("peak memory of all its processes", max(one["peak_bytes"] for one in jobs) / 1e9, "GB", most=2),
        claim("int8 top-1 on 360 test images, median of the seeds",
              100 * statistics.median(one["top1"]["int8"] for one in jobs), "%", least=97),
        claim("int8 images below float, worst seed", max(lost), "", most=3),
        claim("int8 file", max(one["size_bytes"]["int8"] for one in jobs) / 1000, "kB", most=700),
        claim("int8 latency over float, median of the seeds",
              statistics.median(one["latency_ms"]["float32"] / one["latency_ms"]["int8"] for one in jobs), "x"),
    ]  # fmt: skip
    save("default_job", claims, jobs, measured_under)
    sys.exit(0 if all(one["exit_code"] == 0 for one in jobs) else 1)


if __name__ == "__main__":
    main()
