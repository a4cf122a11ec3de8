"""Setting up, as far as it needs no network; CI calls `edgekit device setup emulated` itself before the tests."""

import json
import shutil

import pytest

from edgekit.errors import DeviceError
from edgekit.measurement.emulated import packages, setup
from edgekit.measurement.emulated.emulator import Qemu
from edgekit.measurement.emulated.userland import Userland, read_userland, require_userland
from tests.cli.test_evaluate import as_json, run

RUNTIME = "ai-edge-litert 2.3.0"


@pytest.fixture
def userland(tmp_path) -> Userland:
    """One with two files, as if it had been set up."""
    root = tmp_path / "cache" / "edgekit" / "emulated"
    (root / "rootfs").mkdir(parents=True)
    (root / "plugin.so").write_bytes(b"plugin")
    (root / "rootfs" / "python3").write_bytes(b"python")
    wheels = {"ai-edge-litert": {"ai-edge-litert": "2.3.0", "numpy": "2.0.0", "pillow": "12.0.0"}}
    made = Userland(root, {"python3": "3.11"}, wheels, "7.2.22", setup._files(root))
    (root / "manifest.json").write_text(json.dumps(made.to_json()))
    return made


def test_what_is_whole_is_read_back(userland):
    assert read_userland(userland.root) == userland == require_userland(RUNTIME, userland.root)
    assert userland.size_bytes == 12 and setup._whole(userland.root, Qemu(userland.root, "7.2.22"), "2.3.0") == userland


def test_damage_is_found_and_named(userland):
    (userland.root / "plugin.so").write_bytes(b"plugim")
    assert userland.damage() == "" and userland.damage(thorough=True) == "plugin.so"
    (userland.root / "rootfs" / "python3").unlink()
    with pytest.raises(DeviceError, match=r"is damaged: .*rootfs/python3\. Run: edgekit device setup emulated"):
        require_userland(RUNTIME, userland.root)
    (userland.root / "manifest.json").write_text("{")
    with pytest.raises(DeviceError, match=r"is damaged: .*manifest\.json"):
        require_userland(RUNTIME, userland.root)


def test_none_and_another_runtime_are_refused(userland, tmp_path):
    with pytest.raises(DeviceError, match="is not set up. Run: edgekit device setup emulated"):
        require_userland(RUNTIME, tmp_path / "none")
    with pytest.raises(DeviceError, match="has ai-edge-litert 2.3.0, and this machine 9.9"):
        require_userland("ai-edge-litert 9.9", userland.root)
    for qemu, litert in (("10.0.0", "2.3.0"), ("7.2.22", "2.4.0")):
        assert setup._whole(userland.root, Qemu(userland.root, qemu), litert) is None


def test_one_of_an_older_edgekit_is_used_and_made_anew_by_setup(userland):
    del userland.wheels["ai-edge-litert"]["pillow"]
    (userland.root / "manifest.json").write_text(json.dumps(userland.to_json()))
    assert require_userland(RUNTIME, userland.root) == userland
    assert setup._whole(userland.root, Qemu(userland.root, "7.2.22"), "2.3.0") is None


def test_a_setup_that_ends_early_leaves_what_was_there(userland, monkeypatch):
    planned = setup.Plan(userland.root, Qemu(userland.root, "10.0.0"), "2.3.0", None)
    left = userland.root.with_name("emulated.making-killed")
    left.mkdir()

    def ended(*_):
        raise DeviceError("No network.")

    monkeypatch.setattr(setup, "unpack_debian", ended)
    with pytest.raises(DeviceError, match="No network"):
        setup.install(planned)
    assert read_userland(userland.root) == userland
    assert sorted(path.name for path in userland.root.parent.iterdir()) == ["emulated", "emulated.lock"]


def test_too_little_room(userland, monkeypatch):
    monkeypatch.setattr(setup, "NEEDED_BYTES", 10**18)
    with pytest.raises(DeviceError, match="MB free, and .* are needed. Free some, or set XDG_CACHE_HOME"):
        setup.install(setup.Plan(userland.root, Qemu(userland.root, "10.0.0"), "2.3.0", None))


def test_what_this_machine_lacks(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(DeviceError, match="debian-archive-keyring"):
        packages.require_tools()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="apt-get is not there.*Use Debian or Ubuntu"):
        packages.require_tools()


def test_a_package_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DeviceError, match=r"no-such for arm64 cannot be loaded: .*No matching distribution found"):
        packages.unpack_wheels(["no-such"], tmp_path, tmp_path)


@pytest.mark.pi
@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="needs qemu-user")
def test_the_command_asks(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, out, err = run(capfd, "device", "setup", "emulated")
    assert code == 2 and out == "" and "there is no terminal to ask at. Add --yes." in err
    assert f"is put into {tmp_path}/edgekit/emulated:" in err and "MB to load" in err
    assert not (tmp_path / "edgekit").exists()
    code, found = as_json(capfd, "device", "list")
    assert [(one["name"], one["ready"]) for one in found["result"]["emulated"]] == [
        ("rpi4:emulated", False),
        ("rpi5:emulated", False),
    ]


@pytest.mark.pi
@pytest.mark.skipif(read_userland() is None, reason="needs edgekit device setup emulated")
def test_again_it_changes_nothing(capfd):
    before = read_userland()
    stamp = (before.root / "manifest.json").stat().st_mtime_ns
    code, found = as_json(capfd, "device", "setup", "emulated", "--yes")
    assert code == 0 and found["result"]["folder"] == str(before.root)
    assert found["result"]["wheels"]["tflite-runtime"]["numpy"].startswith("1.")
    assert (before.root / "manifest.json").stat().st_mtime_ns == stamp
