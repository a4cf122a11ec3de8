import stat
from pathlib import Path

import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement.devices import inventory
from edgekit.measurement.devices.inventory import (
    Device,
    add_device,
    device_at,
    find_device,
    read_devices,
    remove_device,
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_DEVICES", str(tmp_path / "of" / "mine.toml"))
    return tmp_path / "of" / "mine.toml"


def test_where_the_list_is(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEKIT_DEVICES", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert inventory.devices_file() == tmp_path / ".config" / "edgekit" / "devices.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/mine")
    assert inventory.devices_file() == Path("/etc/mine/edgekit/devices.toml")


def test_adding_and_removing_keep_what_else_is_in_the_file(path):
    assert read_devices() == {}
    pi = Device(name="pi", host="raspberrypi.local", user="pi", port=2222)
    board = Device(name="board", host="fe80::1%eth0")
    add_device(pi)
    path.write_text(f"# mine\n{path.read_text()}# until here\n")
    before = path.read_text()
    add_device(board)
    assert read_devices() == {"pi": pi, "board": board} and find_device("board") == board
    assert path.read_text().startswith("# mine\n[pi]\n")
    assert remove_device("board") == board
    assert path.read_text().strip() == before.strip()
    with pytest.raises(UsageError, match="There is a device pi already"):
        add_device(pi)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("address", "user", "host", "port"),
    [
        ("pi@raspberrypi.local", "pi", "raspberrypi.local", None),
        ("pi@10.0.0.7:2222", "pi", "10.0.0.7", 2222),
        ("board", None, "board", None),
        ("pi@[fe80::1%eth0]:22", "pi", "fe80::1%eth0", 22),
        ("domain.user@corp@board:1", "domain.user@corp", "board", 1),
    ],
)
def test_addresses(address, user, host, port):
    found = device_at("pi", address)
    assert found == Device(name="pi", host=host, user=user, port=port)
    assert device_at("pi", found.address) == found


@pytest.mark.parametrize(
    "address",
    [
        "", "pi@", "@board", "pi@board:", "pi@board:0", "pi@board:65536", "pi@board:x", "pi@::1:22", "-oProxyCommand=x",
        "pi@-oProxyCommand=x", "pi@$(touch x)", "pi@a;b", "pi@`x`", "pi@a b", "pi@a\nb", "pi@a\n", "a'b@board",
        "$x@board",
        "pi@../x", "pi@a/b", "-l@board", "pi@a|b", "pi@h\u00f6st", "pi@[::1", "pi@*",
    ],
)  # fmt: skip
def test_what_is_no_address_is_not_interpreted(address):
    with pytest.raises(UsageError, match="is no address of a device"):
        device_at("pi", address)


@pytest.mark.parametrize("name", ["", "cpu", "gpu", "a b", "-x", "a/b", "rpi4:emulated", "a\n", "$x", "a" * 65, "a.b"])
def test_names(name):
    with pytest.raises(UsageError):
        device_at(name, "pi@board")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pi\n", "not valid TOML: .*line 1"),
        ('[pi]\nhost = "a"\n\nport = 22,\n', "not valid TOML: .*line 4"),
        ('[pi]\nhost = "a"\n[pi]\nhost = "b"\n', "not valid TOML: .*line 3"),
        ('[pi]\nuser = "a"\n', "toml:1: pi.host is missing"),
        ('[a]\nhost = "x"\n\n[pi]\nhost = "a"\nport = 70000\n', "toml:6: pi.port cannot be 70000"),
        ('[pi]\nhost = "a"\nport = "22"\n', 'toml:3: pi.port cannot be "22"'),
        ('[pi]\nhost = "a"\nport = true\n', "toml:3: pi.port cannot be true"),
        ('[pi]\nhost = "a; reboot"\n', 'toml:2: pi.host cannot be "a; reboot"'),
        ('[pi]\nhost = "-oProxyCommand=x"\n', "toml:2: pi.host cannot be"),
        ('[pi]\nhost = "a\\n"\n', "toml:2: pi.host cannot be"),
        ('[pi]\nhost = "a"\nuser = "$(x)"\n', "toml:3: pi.user cannot be"),
        ('[pi]\nhots = "a"\nhost = "a"\n', "toml:2: pi.hots is not a field; known: host, user, port"),
        ('[pi]\nhost = "a"\nname = "b"\n', "toml:3: pi.name is not a field"),
        ('x = 1\npi = "a"\n', "toml:1: x is not a device"),
        ('[cpu]\nhost = "a"\n', "toml:1: cpu means this machine"),
        ('["a b"]\nhost = "a"\n', "toml:1: a b is no name of a device"),
        ("\xff", "not valid TOML"),
    ],
)
def test_a_badly_edited_file_is_one_sentence(path, text, words):
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=words) as refused:
        read_devices()
    assert "\n" not in str(refused.value) and str(path) in refused.value.fact


def test_a_device_that_is_written_otherwise_is_not_torn_out(path):
    path.parent.mkdir()
    path.write_text('pi = {host = "a"}\nother = {host = "b"}\n')
    with pytest.raises(BadInput, match="toml:1: pi is written in a way of its own"):
        remove_device("pi")
    assert set(read_devices()) == {"pi", "other"}


def test_an_unknown_device(path):
    with pytest.raises(UsageError, match="none is added yet"):
        find_device("pi")
    add_device(Device(name="rpi", host="a"))
    with pytest.raises(UsageError, match="Unknown device 'rip'. Did you mean 'rpi'"):
        find_device("rip")
