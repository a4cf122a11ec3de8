"""edgekit runtime: foreign runtimes, in environments of their own."""

from __future__ import annotations

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.group("runtime")
def command() -> None:
    """The other runtimes that `edgekit verify` asks, each in an environment of its own.

    \b
    edgekit runtime add tflite-runtime tflm
    edgekit runtime list
    """


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@shared_options
def add(names: tuple[str, ...]) -> Outcome:
    """Install runtimes: tflite-runtime, mediapipe, tflm or browser.

    Each goes into a folder under the user's cache ($EDGEKIT_RUNTIMES, else ~/.cache/edgekit/runtimes), whole or not at
    all. Python packages are wheels of PyPI, those of the browser come by npm.
    """
    from edgekit.verification.environments import add as add_one
    from edgekit.verification.foreign import foreign

    rows = [foreign(name) for name in names]  # before any work
    added = []
    for row in rows:
        click.echo(f"{row.name}: {', '.join(row.packages)}, about {row.about_mb} MB", err=True)
        added.append(add_one(row.name))
    lines = [
        f"{made.record.name} is {'added' if now else 'there already'}: {_versions(made.record.installed)}\n"
        f"  {made.record.size_bytes / 1e6:.0f} MB in {made.folder}"
        for made, now in added
    ]
    return Outcome({"added": [{**made.to_json(), "new": now} for made, now in added]}, "\n".join(lines))


@command.command("list")
@shared_options
def list_() -> Outcome:
    """The runtimes that can be added, and those that are."""
    from edgekit.verification.environments import Environment, find
    from edgekit.verification.foreign import FOREIGN

    found = {name: find(name) for name in FOREIGN}
    width = max(map(len, FOREIGN))
    lines, rows = [], []
    for name, one in found.items():
        there = isinstance(one, Environment)
        state = (
            f"{one.record.size_bytes / 1e6:.0f} MB, {_versions(one.record.installed)}"
            if isinstance(one, Environment)
            else f"{one.reason} (about {FOREIGN[name].about_mb} MB): {one.remedy}"
        )
        lines.append(f"{name:<{width}}  {FOREIGN[name].what}\n{'':<{width}}  {state}")
        about = one.to_json() if isinstance(one, Environment) else {"reason": one.reason, "remedy": one.remedy}
        rows.append({"name": name, "what": FOREIGN[name].what, "added": there, **about})
    return Outcome({"runtimes": rows}, "\n".join(lines))


@command.command()
@click.argument("name")
@shared_options
def remove(name: str) -> Outcome:
    """Remove a runtime and its environment."""
    from edgekit.verification.environments import remove as remove_one

    freed = remove_one(name)
    return Outcome({"name": name, "freed_bytes": freed}, f"{name} is removed: {freed / 1e6:.0f} MB are free again.")


def _versions(installed: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in installed.items())
