"""edgekit bundle: a folder to drop into an app."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.command("bundle", no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--for", "target", required=True, metavar="TARGET", help="android, ios, web, rpi or mcu.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="A new folder; default: FILE-TARGET, here.")
@click.option(
    "--packages", type=click.Path(path_type=Path), metavar="DIR", help="For web: a node_modules with @litertjs/core."
)
@shared_options
def command(file: Path, target: str, out: Path | None, packages: Path | None) -> Outcome:
    """A folder, and a zip of it, to drop into an app: model, labels, a small client with the exact preprocessing, and a
    self-check that runs the golden vectors inside the file.

    \b
    android   Kotlin and LiteRT            ios   Swift and TensorFlow Lite
    web       a page with LiteRT.js        rpi   Python
    mcu       C++ for TensorFlow Lite Micro, with the model as an array

    The file has to say how images are prepared for it and what its classes are called, as edgekit's exports do;
    `edgekit metadata set` writes it into any other. The same file gives the same bytes.

    \b
    edgekit bundle model.tflite --for android
    edgekit bundle model.tflite --for rpi --out for-my-pi
    """
    from edgekit.bundles.bundle import bundle
    from edgekit.runtime.escape import escaped

    made = bundle(file, target, out, packages)
    golden = f"{made.golden} golden vectors" if made.golden else "no golden vectors: its self-check has nothing to run"
    lines = [
        f"{escaped(made.folder)}: {len(made.files)} files, {made.size_bytes:,} bytes, {golden}",
        f"{escaped(made.archive)}: SHA-256 {made.archive_sha256[:16]}…",
        f"README.md in it says how to embed it. {made.limits}".rstrip(),
    ]
    return Outcome(made.to_json(), "\n".join(lines))
