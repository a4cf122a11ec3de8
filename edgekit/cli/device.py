"""edgekit device: the machines that are reached by ssh, and the emulated ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.outcome import Outcome, shared_options

if TYPE_CHECKING:
    from edgekit.measurement.devices.facts import Facts
    from edgekit.measurement.devices.inventory import Device

ACCEPT = click.option(
    "--accept-host-key",
    "accept",
    metavar="SHA256:...",
    help="Believe the host key of this fingerprint, without asking.",
)


@click.group("device")
def command() -> None:
    """Devices that are reached by ssh, and emulated Raspberry Pis.

    \b
    edgekit device add rpi pi@raspberrypi.local
    edgekit device check rpi
    """


@command.command()
@click.argument("name")
@click.argument("address", metavar="[USER@]HOST[:PORT]")
@ACCEPT
@shared_options
def add(name: str, address: str, accept: str | None) -> Outcome:
    """Connect to a device and remember it as NAME.

    It needs an ssh server and python3. HOST may be one of ~/.ssh/config: jump hosts, keys and the agent are those of
    ssh. The first contact shows the fingerprint of its host key and asks; without a terminal --accept-host-key says
    which is right.
    """
    from edgekit.measurement.devices import inventory

    device = inventory.device_at(name, address)
    if name in inventory.read_devices():
        raise inventory.taken(name)
    facts = _look(device, accept)
    path = inventory.add_device(device)
    text = f"{_text(device, facts)}\n\nAdded to {path}."
    return Outcome({**_seen(device, facts), "file": str(path)}, text)


@command.command()
@click.argument("name")
@ACCEPT
@shared_options
def check(name: str, accept: str | None) -> Outcome:
    """Connect to a device and say what it is."""
    from edgekit.measurement.devices import inventory

    device = inventory.find_device(name)
    facts = _look(device, accept)
    return Outcome(_seen(device, facts), _text(device, facts))


@command.command("list")
@shared_options
def list_() -> Outcome:
    """The devices that were added, and the emulated ones. Nothing is connected to."""
    from edgekit.measurement.devices import inventory
    from edgekit.measurement.emulated import boards, userland

    path = inventory.devices_file()
    found = inventory.read_devices(path)
    ready = userland.read_userland() is not None
    width = max(map(len, [*found, *boards.DEVICES]))
    lines = [f"{device.name:<{width}}  {device.address}" for device in found.values()]
    lines = lines or [f"No device is in {path}.", "Add one: edgekit device add rpi pi@raspberrypi.local", ""]
    state = "" if ready else ", not set up: edgekit device setup emulated"
    lines += [f"{one.device:<{width}}  {one.core} under QEMU{state}" for one in boards.BOARDS.values()]
    emulated = [{"name": one.device, "core": one.core, "ready": ready} for one in boards.BOARDS.values()]
    result = {"file": str(path), "devices": [_row(device) for device in found.values()], "emulated": emulated}
    return Outcome(result, "\n".join(lines))


@command.command()
@click.argument("name")
@shared_options
def remove(name: str) -> Outcome:
    """Forget a device, and take the runtime that edgekit keeps there off it. Its host key stays believed."""
    from edgekit.measurement.devices import inventory
    from edgekit.measurement.devices.packages import clean

    device = inventory.find_device(name)
    cleaned = clean(device)
    inventory.remove_device(name)
    off = f" {' and '.join(cleaned.removed)} taken off it." if cleaned.removed else ""
    row = {**_row(device), "removed": list(cleaned.removed), "held": list(cleaned.held)}
    return Outcome(row, f"{name} ({device.address}) is removed.{off}")


@command.command()
@click.argument("what", type=click.Choice(["emulated"]))
@click.option("--yes", is_flag=True, help="Do it without asking.")
@shared_options
def setup(what: str, yes: bool) -> Outcome:
    """Install what emulates Raspberry Pis, into the user's cache.

    It says what it will install and how much, and asks. Again, it repairs what is damaged, and follows when LiteRT here
    has another version.
    """
    from edgekit.cli.bar import reporter
    from edgekit.errors import UsageError
    from edgekit.measurement.emulated import boards
    from edgekit.measurement.emulated.setup import install, plan

    planned = plan()
    click.echo(planned.text, err=True)
    if not (planned.found or yes):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("Nothing is installed unasked, and there is no terminal to ask at.", "Add --yes.")
        click.confirm("Go on?", abort=True, err=True)
    with reporter() as progress:
        made = planned.found or install(planned, progress)
    text = f"{' and '.join(boards.DEVICES)} are ready: {made.size_bytes / 1e6:.0f} MB in {made.root}."
    facts = {"folder": str(made.root), "size_bytes": made.size_bytes, "qemu": made.qemu}
    return Outcome({**facts, "devices": list(boards.DEVICES), "debian": made.debian, "wheels": made.wheels}, text)


def _look(device: Device, accept: str | None) -> Facts:
    """What the device is; a new host key is asked about where there is a terminal."""
    from edgekit.measurement.devices.connection import Connection
    from edgekit.measurement.devices.facts import look
    from edgekit.measurement.devices.trust import UnknownHostKey

    try:
        with Connection(device, accept) as connection:
            return look(connection)
    except UnknownHostKey as unknown:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        click.echo(f"The host key of {unknown.host} is not known: {unknown.kind} {unknown.fingerprint}", err=True)
        click.confirm("Is it the right one?", abort=True, err=True)
        accepted = unknown.fingerprint
    with Connection(device, accepted) as connection:
        return look(connection)


def _row(device: Device) -> dict[str, Any]:
    return device.model_dump(mode="json")


def _seen(device: Device, facts: Facts) -> dict[str, Any]:
    from edgekit.measurement.devices.needs import summary_of

    return {**_row(device), **facts.to_json(), **summary_of(device.name, facts)}


def _text(device: Device, facts: Facts) -> str:
    modules = [f"{name} {version}".strip() for name, version in facts.modules.items() if version is not None]
    seen = _seen(device, facts)
    serves = "what is installed" if not seen["sends"] else f"{' and '.join(seen['sends'])}, which edgekit sends once"
    kept = ", ".join(" ".join(folder.rsplit("-", 2)[:2]) for folder in facts.kept)
    megabytes = f"{sum(facts.kept.values()) / 1e6:.0f} MB"
    memory = "" if facts.memory_bytes is None else f", {facts.memory_bytes / 1e9:.1f} GB of memory"
    return "\n".join(
        [
            f"{device.name} ({device.address}): {facts.board or 'a board that does not say what it is'}",
            f"{facts.architecture}, {facts.pointer_bits} bit, {facts.cores} cores{memory}, "
            f"{facts.free_bytes / 1e9:.1f} GB free",
            f"{facts.system}, Python {'.'.join(map(str, facts.python))}, {facts.libc or 'a C library of unknown kind'}",
            f"installed there: {', '.join(modules) or 'neither numpy nor a runtime'}",
            f"runs .tflite files by: {seen['refused'] or serves}",
            *([f"sent by edgekit: {kept} ({megabytes} in ~/.cache/edgekit)"] if facts.kept else []),
        ]
    )
