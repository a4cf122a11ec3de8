"""Every edgekit command of docs/raspberry-pi.md, line by line: on a device with python3 alone, on an emulated Pi."""

import re
import shlex
from pathlib import Path

import pytest

from edgekit.artifact import save_artifact
from tests import tiny
from tests.cli.test_evaluate import run
from tests.measurement.devices.bare import bare, kept, wheelhouse  # noqa: F401 - fixtures
from tests.measurement.devices.conftest import device, fakepi_at_work, leftovers, server, user  # noqa: F401
from tests.measurement.devices.test_pi import houses, pi  # noqa: F401
from tests.test_artifact import card

PAGE = (Path(__file__).parents[1] / "docs" / "raspberry-pi.md").read_text("utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line.startswith("$ edgekit ")]
# A measurement in the time that a test has.
FEW = ("--quick", "--processes", "1", "--runs", "5", "--seconds", "0")


def test_the_page_on_a_device_with_python3_alone(capfd, bare, user, tmp_path, monkeypatch):  # noqa: F811
    config = f"Host raspberrypi.local\n  HostName 127.0.0.1\n  Port {bare.port}\n"
    key = f"[127.0.0.1]:{bare.port} {bare.key.export_public_key().decode()}"
    the_page(capfd, user, tmp_path, monkeypatch, config, key)
    assert kept(bare) == [] and leftovers(bare) == []


@pytest.mark.slow
@pytest.mark.pi
def test_the_page_on_the_emulated_pi(capfd, pi, user, tmp_path, monkeypatch):  # noqa: F811
    pi.clean()
    config = f"Host raspberrypi.local\n  HostName {pi.host}\n  Port {pi.port}\n"
    said = the_page(capfd, user, tmp_path, monkeypatch, config, pi.known_hosts_line)
    assert "aarch64" in said["edgekit device check rpi"] and pi.board.title in said["edgekit device check rpi"]
    assert kept(pi) == [] and leftovers(pi) == [] and pi.processes("python3") == []


def the_page(capfd, user, tmp_path, monkeypatch, config, key):  # noqa: F811
    """Every command of it, in its order -> what each said, of a device that the user's ssh knows by its name."""
    (user / ".ssh" / "config").write_text(config)
    (user / ".ssh" / "known_hosts").write_text(key)
    monkeypatch.chdir(tmp_path)
    for name, variant in (("model", "int8"), ("float32", "float32"), ("int8", "int8")):
        content = tiny.tflite(variant)
        labels = tuple(f"row{number}" for number in range(tiny.CLASSES))
        save_artifact(tmp_path / f"{name}.tflite", content, card(content).model_copy(update={"labels": labels}))
    tiny.folder(tmp_path / "photos", 30)

    said = {}
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        code, out, err = run(capfd, *words, *(FEW if words[0] == "bench" else ()))
        assert code == 0, (command, out, err)
        said[command] = out
    verbs = [
        " ".join(shlex.split(command)[1:3]) if " device " in command else command.split()[1] for command in COMMANDS
    ]
    assert set(verbs) == {"device add", "device check", "device list", "device remove", "bench", "evaluate"}
    assert "raspberrypi.local" in said["edgekit device list"]
    for command in COMMANDS:
        if " evaluate " in command:
            assert "outputs equal bit for bit for 100.0%" in said[command], said[command]
    assert "rpi: " in said["edgekit bench model.tflite --device cpu --device rpi"]
    assert "ai-edge-litert" in said["edgekit bench model.tflite --device rpi"]
    return said


def test_what_the_page_says_of_errors_is_what_edgekit_says():
    """Each sentence of its table stands in the code."""
    code = "".join(path.read_text("utf-8") for path in (Path(__file__).parents[1] / "edgekit").rglob("*.py"))
    table = PAGE.split("## When something goes wrong")[1]
    quoted = [one for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for one in re.findall(r"`(.*?)`", row)]
    assert len(quoted) >= 12
    plain = re.sub(r'"\s*\n\s*f?"', "", code)  # sentences that go on in the next line
    for sentence in quoted:
        parts = [
            re.sub(r"^(throttled|unstable): ", "", one).strip() for one in re.split(r"\.\.\.|3\.13|30|80", sentence)
        ]
        assert all(part in plain for part in parts if part), sentence
