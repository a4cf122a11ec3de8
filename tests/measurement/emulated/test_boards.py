import pytest

from edgekit.errors import UsageError
from edgekit.measurement.bench import Setting
from edgekit.measurement.emulated.boards import BOARDS, board_of, write_processor
from edgekit.measurement.session import Wanted


def test_names():
    assert board_of("rpi4:emulated").core == "cortex-a72" and board_of("rpi5:emulated").core == "cortex-a76"
    with pytest.raises(UsageError, match=r"Unknown emulated device 'rpi3:emulated'\. Did you mean 'rpi"):
        Wanted(devices=("rpi3:emulated",))


def test_an_emulated_device_has_no_latency():
    with pytest.raises(UsageError, match="rpi4:emulated has no latency"):
        Setting(device="rpi4:emulated")
    for times in ({"threads": (2,)}, {"mlperf": True}, {"runs": 5}, {"seconds": 0.0}):
        with pytest.raises(UsageError, match="are of times"):
            Wanted(devices=("cpu", "rpi5:emulated"), **times)


def test_linux_on_the_board_names_its_processor(tmp_path):
    write_processor(BOARDS["rpi5"], tmp_path)
    told = (tmp_path / "proc/cpuinfo").read_text()
    assert told.count("CPU part\t: 0xd0b") == 4 and "asimddp" in told and told.endswith("5 Model B Rev 1.0\n")
    assert (tmp_path / "sys/devices/system/cpu/cpu3/cache/index2/size").read_text() == "512K\n"
