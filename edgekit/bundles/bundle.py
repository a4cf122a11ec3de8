"""`edgekit bundle`: a file and a target -> a folder, and a zip of it, to drop into an app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact, sha256_of
from edgekit.bundles import android, ios, mcu, rpi, web
from edgekit.bundles.archive import Files, write_bundle
from edgekit.bundles.shipped import Shipped, read_shipped
from edgekit.errors import BadInput, UsageError, unknown
from edgekit.runtime.escape import escaped
from edgekit.runtime.op_versions import release


@dataclass(frozen=True)
class Target:
    """`runs_on` is the target of `edgekit inspect` that decides whether the file runs there; `runtime` the oldest
    release of TensorFlow Lite in use there, "" where it is as new as ours. `limits` is said with the bundle."""

    runs_on: str
    runtime: str
    limits: str


TARGETS = {
    "android": Target("cpu", "", "Classifier.kt was not compiled here."),
    "ios": Target("cpu", ios.RUNTIME, "There is no Swift compiler here: run its self-check."),
    "web": Target("browser", "", ""),
    "rpi": Target("cpu", "", ""),
    "mcu": Target("microcontroller", "", "classifier.cc was not compiled here."),
}  # fmt: skip
MAKERS: dict[str, Callable[[Shipped], Files]] = {
    "android": android.files, "ios": ios.files, "rpi": rpi.files, "mcu": mcu.files,
}  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """What was written. `files` are paths inside the folder; `golden` counts the vectors of the self-check."""

    target: str
    folder: str
    archive: str
    archive_sha256: str
    files: tuple[str, ...]
    size_bytes: int
    golden: int
    limits: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "files": list(self.files)}


def bundle(
    file: str | Path | Artifact, target: str, out: str | Path | None = None, packages: str | Path | None = None
) -> Bundle:
    """Writes the bundle of a file into `out` (a new folder; by default the file's name and the target's, here) and a
    zip beside it. `packages` is a node_modules folder with LiteRT.js, for the web.

    Raises BadInput for a file that is damaged, does not run on the target, or does not say what an app has to know, and
    where the folder exists; UsageError for a target that is in no table.
    """
    if target not in TARGETS:
        raise unknown("target", target, TARGETS, UsageError)
    if packages is not None and target != "web":
        raise UsageError(f"--packages says nothing for {target}.", "Leave it out.")
    path = file.path if isinstance(file, Artifact) else Path(file)
    folder = Path(out) if out is not None else Path(f"{path.stem}-{target}")
    shipped = read_shipped(path)
    _check_runs(shipped, target)
    files = web.files(shipped, Path(packages) if packages else None) if target == "web" else MAKERS[target](shipped)
    archive = write_bundle(folder, files)
    content = archive.read_bytes()
    return Bundle(
        target, str(folder), str(archive), sha256_of(content), tuple(sorted(files)),
        sum(len(one) for one in files.values()), len(shipped.examples), TARGETS[target].limits,
    )  # fmt: skip


def _check_runs(shipped: Shipped, target: str) -> None:
    """By the tables of `edgekit inspect`."""
    row, found, see = TARGETS[target], shipped.inspection, "See: edgekit inspect FILE"
    name = escaped(found.file)
    blocked = next(one.blocked for one in found.targets if one.name == row.runs_on)
    if blocked:
        raise BadInput(f"{name} does not run on {target}: {escaped(blocked)}.", see)
    if found.refused:
        raise BadInput(f"{name} does not run: {escaped(found.refused)}", see)
    if row.runtime:
        newer = [one for one in found.operators if release(one.oldest_runtime or row.runtime) > release(row.runtime)]
        if newer:
            fact = f"{name} needs TensorFlow Lite {newer[0].oldest_runtime} for {newer[0].op}"
            raise BadInput(f"{fact}; {target} has {row.runtime}.", "Export it again with an older TensorFlow.")
