"""verify on a device: the bits of its runtime, over ssh."""

import pytest

from edgekit.errors import UsageError
from edgekit.measurement.devices import inventory
from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.inventory import Device
from edgekit.verification.rows import ROWS
from edgekit.verification.verify import verify
from tests import tiny
from tests.measurement.devices.conftest import leftovers


def test_a_device_is_a_row(server, device, monkeypatch):
    for name in [name for name in ROWS if name != "litert"]:
        monkeypatch.delitem(ROWS, name)
    inventory.add_device(device)
    with Connection(device, server.fingerprint):
        pass  # its host key is believed from here on
    found = verify(tiny.path("int8"), devices=["pi"], require=["pi"])
    row = found.results[1]
    assert (row.name, row.status, row.group) == ("pi", "equal", "A") and row.runtime.startswith("ai-edge-litert ")
    assert found.failed is None and leftovers(server) == []


def test_a_device_that_does_not_answer_is_a_row_too(user, monkeypatch):
    for name in [name for name in ROWS if name != "litert"]:
        monkeypatch.delitem(ROWS, name)
    with pytest.raises(UsageError, match="Unknown device 'pi'"):
        verify(tiny.path("int8"), devices=["pi"])
    inventory.add_device(Device(name="pi", host="127.0.0.1", port=9))
    found = verify(tiny.path("int8"), devices=["pi"], require=["pi"])
    row = found.results[1]
    assert row.status == "failed" and "pi" in row.reason and found.failed is not None
