"""edgekit bench: latency, size and memory of .tflite files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options


class Counts(click.ParamType):
    """1,2,4: whole numbers of one or more."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(dict.fromkeys(int(word) for word in value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 1,2,4.", param, ctx)
        if min(found) < 1:
            self.fail(f"{min(found)} is not one or more.", param, ctx)
        return found


PATH = click.Path(path_type=Path)


@click.command("bench")
@click.argument("files", nargs=-1, type=PATH, metavar="[FILE...]")
@click.option(
    "--device",
    "devices",
    multiple=True,
    default=("cpu",),
    help="Where to measure: cpu, gpu, a device's name, or rpi4:emulated, rpi5:emulated, which count instructions. "
    "Again for several.  [default: cpu]",
)
@click.option("--threads", type=Counts(), default=(1,), help="Interpreter threads, or several: 1,2,4.  [default: 1]")
@click.option("--batch", type=Counts(), help="Images an inference, or several: 1,8.  [default: the file's own]")
@click.option(
    "--xnnpack",
    type=click.Choice(["on", "off", "both"]),
    default="on",
    show_default=True,
    help="With XNNPACK's kernels, with the runtime's own, or one after the other.",
)
@click.option("--quick", is_flag=True, help="Short warm-up, few runs.")
@click.option("--mlperf", is_flag=True, help="At least 1024 runs and 60 seconds a file.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Fresh processes a file.  [default: 5; 10 to 30 where files are compared; --quick: 3; 10 to 20]",
)
@click.option("--runs", type=click.IntRange(min=1), help="Timed inferences, at least.  [default: 100]")
@click.option("--seconds", type=click.FloatRange(min=0), help="Timed, at least.  [default: 1; --quick: 0.1]")
@click.option("--with-preprocessing", is_flag=True, help="Time the card's pre- and post-processing too, apart.")
@click.option("--image", type=PATH, help="The image for --with-preprocessing.  [default: one is made]")
@click.option(
    "--baseline",
    type=PATH,
    help="Exit 1 where a file is slower than this: an earlier --out or --json, or a .tflite to take turns with.",
)
@click.option("--max-regression-percent", type=click.FloatRange(min=0), help="By more than this.  [default: 5]")
@click.option("--new-version", is_flag=True, help="The files are new versions of the baseline's of the same name.")
@click.option("--profile", is_flag=True, help="Times of every operator, what is not delegated and why, and advice.")
@click.option(
    "--require-delegated",
    type=click.FloatRange(0, 100),
    help="Percent of the operators that the delegate has to run: exit 1 where it runs fewer.",
)
@click.option("--out", type=PATH, help="Write the results, raw samples included, as JSON.")
@click.option("--store", type=PATH, help="Folder that keeps every measurement.  [default: the user's data folder]")
@click.option("--no-store", is_flag=True, help="Keep none.")
@click.option("--compare", is_flag=True, help="Measure nothing: tabulate what is stored, of FILE... or of all.")
@click.option("--export", "table", type=PATH, help="Write the rows as .csv or .parquet.")
@shared_options
def command(**given: Any) -> Outcome:  # fmt: skip
    """Latency, size and memory of .tflite files on this machine, or on a device (edgekit device).

    Several files take turns, and each is compared with the first: faster or slower only if the 99.9 % interval of the
    ratio excludes 1 and the difference is 2 % or more. Without FILE: the chosen artifact of the newest finished run
    under ./runs.

    \b
    edgekit bench model.tflite
    edgekit bench float32.tflite int8.tflite --quick
    edgekit bench model.tflite --profile
    """
    from edgekit.cli.bar import reporter
    from edgekit.cli.counts_text import counts_text
    from edgekit.cli.profile_text import look_text
    from edgekit.measurement import session

    wanted = session.Wanted(**given)
    if wanted.compare:
        found = session.look_up(wanted)
        return Outcome({"measurements": found.rows, "instructions": found.counts}, found.text)
    with reporter() as progress:
        done = session.measure(wanted, progress)
    inside = "".join(f"\n\n{look_text(one)}" for one in done.looks)
    parts = [_text(done.to_json())] if done.measurements else []
    parts += [counts_text(done.counted.counts, done.counted.gated)] if done.counted.counts else []
    return Outcome(done.to_json(), done.named + "\n\n".join(parts) + inside, done.failed)


def _text(found: dict[str, Any]) -> str:
    import pandas as pd

    from edgekit.measurement import gpu

    rows = found["files"]
    several = len({(row["threads"], row["batch"], row["xnnpack"]) for row in rows}) > 1
    devices = {row["device"]: row["conditions"] for row in reversed(rows)}
    table = pd.DataFrame([_line(row, several, len(devices) > 1) for row in rows]).to_string(index=False)
    threads = "" if several else f", threads: {rows[0]['threads']}"
    where = [
        f"{device + ': ' if len(devices) > 1 else ''}{seen['cpu']}, {seen['runtime']}{_state(seen)}{threads}"
        for device, seen in reversed(devices.items())
    ]
    failures = [f"{one['device']} failed: {one['message']} {one['remedy']}" for one in found["failures"]]
    doubts = [f"{row['verdict']}: {row['file']}: {'; '.join(row['doubts'])}" for row in rows if row["doubts"]]
    against = [(f"{one['device']}: " if len(devices) > 1 else "") + _comparison(one) for one in found["comparisons"]]
    gate = [
        f"{one['file']}: {one['verdict']}, {one['ratio']:.3f} x the baseline"
        for one in found["gate"]
        if "interval" in one
    ]
    accelerated = [line for row in rows if row["device"] == "gpu" for line in gpu.lines(row)]
    return "\n".join([table, "", *where, *failures, *accelerated, *doubts, *against, *gate, *_processing(rows)])


def _state(seen: dict[str, Any]) -> str:
    """What the system told before anything was measured, and what of the processor says little of a phone's."""
    known = {
        "with matrix units (AMX), which no phone has": "amx_int8" in seen.get("features", ()) or None,
        "governor {}": seen.get("governor"),
        "{:.0f} MHz": seen.get("mhz"),
        "{:.0f} degrees": seen.get("celsius"),
        "load {:.1f}": seen.get("load"),
    }
    return "".join(f", {words.format(value)}" for words, value in known.items() if value is not None)


def _line(row: dict[str, Any], several: bool, devices: bool) -> dict[str, Any]:
    latency = row["latency_ms"]
    low, high = latency["ci95"]
    heap = row["heap_bytes"]
    setting = {"threads": row["threads"], "batch": row["batch"], "xnnpack": "on" if row["xnnpack"] else "off"}
    return {
        "file": row["file"],
        **({"device": row["device"]} if devices else {}),
        **(setting if several else {}),
        "median ms [95 %]": f"{latency['median']:.4g} [{low:.4g}, {high:.4g}]",
        "p90": f"{latency['p90']:.4g}",
        "p99": f"{latency['p99']:.4g}",
        "n": latency["n"],
        "images/s": f"{row['images_per_second']:.4g}",
        "size kB": f"{row['size_bytes'] / 1000:.1f}",
        "gzip kB": f"{row['gzip_bytes'] / 1000:.1f}",
        "heap kB": "-" if heap is None else f"{heap / 1000:.1f}",
        "delegate": row["conditions"]["delegate"]["name"] or "-",
        "verdict": row["verdict"],
    }


def _comparison(one: dict[str, Any]) -> str:
    if one["interval"] is None:
        few = "one process" if one["n"] == 1 else f"{one['n']} pairs of processes that disagree this far"
        return f"{one['file']}: {few} cannot be compared with {one['reference']}"
    low, high = one["interval"]
    return (
        f"{one['file']}: {one['verdict']}, {one['ratio']:.3f} x the time of {one['reference']} "
        f"({one['confidence']:.1%}: {low:.3f} to {high:.3f}, {one['n']} pairs of processes)"
    )


def _processing(rows: list[dict[str, Any]]) -> list[str]:
    """Medians in ms, a line a file."""
    import numpy as np

    return [
        f"{row['file']}, not in the latency, ms: "
        + ", ".join(
            f"{name.removesuffix('_ns')} {np.median(values) / 1e6:.3g}"
            for name, values in row["processing"].items()
            if name.endswith("_ns")
        )
        + f" ({row['processing']['image']})"
        for row in rows
        if row["processing"]
    ]
