"""Environments are made whole or not at all, by the real pip, from wheels of our own: there is no network here."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.cli import main
from edgekit.errors import DeviceError, UsageError
from edgekit.verification import environments, foreign, install
from edgekit.verification.environments import Environment, Missing, add, find, remove, root


def wheel(folder: Path, name: str, version: str, program: str = "") -> None:
    """A wheel of one module, as pip takes it."""
    module, about = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": program,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {at: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
               for at, text in files.items()}  # fmt: skip
    record = "".join(f"{at},sha256={digests[at]},{len(files[at])}\n" for at in files) + f"{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for at, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(at, text)


@pytest.fixture
def away(tmp_path, monkeypatch) -> Path:
    """A cache of our own, and a folder of wheels in place of the index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("EDGEKIT_RUNTIMES", str(tmp_path / "runtimes"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return wheels


def left() -> list[str]:
    return sorted(path.name for path in root().iterdir() if path.name != ".lock")


def test_added_listed_stale_damaged_and_removed(away, capfd, monkeypatch) -> None:
    wheel(away, "tflite-micro", "0.dev20261101")
    assert find("tflm") == Missing("tflm", "not added")
    assert main(["runtime", "add", "tflm", "--json"]) == 0
    (made,) = json.loads(capfd.readouterr().out)["result"]["added"]
    assert made["new"] and made["installed"] == {"tflite-micro": "0.dev20261101"} and made["size_bytes"] > 1000
    found = find("tflm")
    assert isinstance(found, Environment) and left() == ["tflm"] and found.python is not None
    alone = [str(found.python), "-I", "-c", "import tflite_micro, sys; print(sys.prefix)"]
    assert Path(subprocess.check_output(alone, text=True).strip()) == found.folder.resolve()
    assert subprocess.run([str(found.python), "-I", "-c", "import edgekit"], capture_output=True).returncode == 1
    assert add("tflm")[1] is False
    assert main(["runtime", "list"]) == 0 and "tflite-micro 0.dev20261101" in capfd.readouterr().out
    newer = replace(foreign.FOREIGN["tflm"], packages=("tflite-micro>=1",))
    with monkeypatch.context() as patch:
        patch.setitem(foreign.FOREIGN, "tflm", newer)
        stale = find("tflm")
    assert isinstance(stale, Missing) and "another version of edgekit" in stale.reason
    record = found.folder / environments.RECORD
    kept = record.read_bytes()
    for damage in (b"{", b"{}", kept.replace(b'"tflm"', b'"browser"')):
        record.write_bytes(damage)
        assert isinstance(find("tflm"), Missing)
    assert main(["runtime", "remove", "tflm"]) == 0 and left() == []
    with pytest.raises(UsageError, match="tflm is not added"):
        remove("tflm")


def test_a_killed_add_is_never_believed(away) -> None:
    """Killed while pip waits for an index that does not answer."""
    variables = {**os.environ, "PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://192.0.2.1/simple"}
    command = [sys.executable, "-m", "edgekit", "runtime", "add", "tflm"]
    process = subprocess.Popen(command, env=variables, start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list(root().glob(f"{environments.UNFINISHED}*/bin/python")) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert left() and find("tflm") == Missing("tflm", "not added")
    with pytest.raises(DeviceError, match="There is no tflite-micro"):  # the folder of wheels is empty
        add("tflm")
    assert left() == []


def test_offline_is_one_sentence(away, monkeypatch, capfd) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert main(["runtime", "add", "tflm"]) == 4
    said = capfd.readouterr().err
    assert "there is no way to the package registry. Go online" in said and left() == []


def test_what_is_missing_here(away, monkeypatch) -> None:
    old = replace(foreign.FOREIGN["tflite-runtime"], pythons=((3, 1), (3, 2)))
    monkeypatch.setitem(foreign.FOREIGN, "tflite-runtime", old)
    with pytest.raises(DeviceError, match=r"has wheels for Python 3.1 to 3.2; this is 3\.\d+") as refused:
        add("tflite-runtime")
    assert "Install Python 3.2" in refused.value.remedy
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    with pytest.raises(DeviceError, match="installed by npm, which is not here"):
        add("browser")
    assert left() == []


def test_a_name_that_is_in_no_row(capfd) -> None:
    assert main(["runtime", "add", "tflite-run"]) == 2
    assert "Did you mean 'tflite-runtime'" in capfd.readouterr().err
