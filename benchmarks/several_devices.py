"""Four devices over ssh whose agents sleep, against one of them: remote machines are measured at the same time.

python benchmarks/several_devices.py

The devices are ssh servers of this process, on this machine: the very servers of the tests. Their agents are the real
ones, but an inference there is a sleep, so that four of them do not need four machines.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from record import claim, conditions, ratio, save, timed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

DEVICES, ROUNDS, INFERENCES, SECONDS = 4, 3, 100, 0.2
SLEEP = f"""import time
import ai_edge_litert.interpreter as litert
litert.Interpreter.invoke = lambda self: time.sleep({SECONDS})
"""


def main() -> None:
    import asyncssh

    from edgekit.measurement.devices.inventory import Device, add_device
    from tests.measurement.devices.server import Server, serving

    measured_under = conditions()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as running:
        home = Path(temporary)
        (home / ".ssh").mkdir(mode=0o700)
        (home / "sitecustomize.py").write_text(SLEEP)
        (home / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (home / "python3").chmod(0o755)
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(home / ".ssh" / "id_ed25519")
        os.environ |= {"HOME": str(home), "EDGEKIT_DEVICES": str(home / "devices.toml"), "XDG_CACHE_HOME": str(home)}
        known = ""
        for number in range(DEVICES):
            there = home / f"device{number}"
            there.mkdir()
            environment = {"HOME": str(there), "PATH": f"{home}:{os.defpath}", "PYTHONPATH": str(home)}
            server = Server(there, environment)
            running.enter_context(serving(server, key.export_public_key()))
            known += f"[127.0.0.1]:{server.port} {server.key.export_public_key().decode()}"
            add_device(Device(name=f"device{number}", host="127.0.0.1", port=server.port))
        (home / ".ssh" / "known_hosts").write_text(known)
        seconds = measure(home)
    times = ratio(seconds["four"], seconds["one"])
    claims = [
        claim("bench on 4 ssh devices, against 1 of them", times, "x", most=1.5),
        claim("bench on 1 ssh device whose agents sleep", statistics.median(seconds["one"]), "s"),
    ]
    save("several_devices", claims, seconds, measured_under)


def measure(home: Path) -> dict[str, list[float]]:
    """Seconds of either bench, in turns."""
    from edgekit.measurement.session import Wanted, measure
    from tests import tiny

    model = home / "model.tflite"
    model.write_bytes(tiny.tflite("int8"))
    names = tuple(f"device{number}" for number in range(DEVICES))
    seconds: dict[str, list[float]] = {"one": [], "four": []}
    for _ in range(ROUNDS):
        for name, devices in (("one", names[:1]), ("four", names)):
            wanted = Wanted(
                files=(model,), devices=devices, quick=True, processes=1, runs=INFERENCES, seconds=0.0, no_store=True
            )
            took, done = timed(lambda wanted=wanted: measure(wanted))
            assert [one.device for one in done.measurements] == list(devices)
            seconds[name].append(took)
    return seconds


if __name__ == "__main__":
    main()
