import pytest

from edgekit.errors import DeviceError
from edgekit.measurement.devices.facts import Facts
from edgekit.measurement.devices.needs import needs_of, summary_of, tags_of, version
from tests.measurement.devices.test_facts import PI4

NOTHING = {"numpy": None, "ai_edge_litert": None, "tflite_runtime": None, "tensorflow": None}
BIT_32 = {"elf": (1, 40), "pointer_bits": 32}


def facts(modules: dict | None = None, **changes) -> Facts:
    given = {key: value for key, value in PI4.items() if key not in ("edgekit", "ok")}
    pairs = {"elf": tuple(PI4["elf"]), "python": tuple(PI4["python"])}
    return Facts(**{**given, **pairs, **changes, "modules": {**NOTHING, **(modules or {})}})


@pytest.mark.parametrize(
    ("found", "last", "tflite"),
    [
        (facts(), ("ai-edge-litert", "numpy"), ("tflite-runtime", "numpy<2")),
        (facts({"numpy": "1.24.2"}), ("ai-edge-litert",), ("tflite-runtime",)),
        (facts({"numpy": "1.19.5"}), ("ai-edge-litert", "numpy"), ("tflite-runtime",)),
        (facts({"numpy": "2.1.0"}), ("ai-edge-litert",), ("tflite-runtime", "numpy<2")),
        (facts(python=(3, 13, 5), libc="glibc 2.41"), ("ai-edge-litert", "numpy"), None),
    ],
)
def test_64_bit_takes_litert_of_this_machine_s_version_first(found, last, tflite):
    from importlib import metadata

    exact = (f"ai-edge-litert=={metadata.version('ai-edge-litert')}", *last[1:])
    assert needs_of("pi", found).choices == (exact, last, *((tflite,) if tflite else ()))


@pytest.mark.parametrize(
    ("found", "choices"),
    [
        (facts({"numpy": "1.24.2", "tflite_runtime": "2.14.0"}), ((),)),
        (facts({"numpy": "", "tensorflow": "2.15.0"}, elf=(2, 243), machine="riscv64"), ((),)),
        (facts({"ai_edge_litert": "2.3.0"}), (("numpy",),)),
        (facts({"tflite_runtime": "2.14.0"}), (("numpy<2",),)),
        (facts({"numpy": "1.24.2"}, **BIT_32), (("tflite-runtime",),)),
        (facts({"numpy": "1.24.2", "tflite_runtime": "2.14.0"}, **BIT_32, python=(3, 13, 5)), ((),)),
    ],
)
def test_what_is_installed_is_used(found, choices):
    assert needs_of("pi", found).choices == choices


@pytest.mark.parametrize(
    ("found", "words", "remedy"),
    [
        (facts(**BIT_32), "32-bit system without numpy", "sudo apt install python3-numpy"),
        (facts({"numpy": "2.0.1"}, **BIT_32), "needs numpy 1", "python3-numpy"),
        (facts({"numpy": "2.2.4"}, **BIT_32, python=(3, 13, 5)), "32-bit Python 3.13", "64-bit Raspberry Pi OS"),
        (facts({"numpy": "1.24.2"}, **BIT_32, machine="armv6l"), "ARMv6", "Raspberry Pi 2"),
        (facts(elf=(2, 243), machine="riscv64"), "no wheels for riscv64", "Install both"),
        (facts(libc=""), "wheels need glibc, not another C library", "Raspberry Pi OS"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(found, words, remedy):
    with pytest.raises(DeviceError, match=words) as refused:
        needs_of("pi", found)
    assert remedy in refused.value.remedy
    assert summary_of("pi", found) == {"sends": [], "refused": str(refused.value)}


def test_what_a_bench_would_send():
    assert summary_of("pi", facts()) == {"sends": ["ai-edge-litert", "numpy"], "refused": None}
    assert summary_of("pi", facts({"numpy": "", "tensorflow": ""})) == {"sends": [], "refused": None}


def test_decoding_takes_pillow_of_this_machine_s_version():
    from importlib import metadata

    everything = {"numpy": "1.24.2", "ai_edge_litert": "2.3.0"}
    assert needs_of("pi", facts({**everything, "PIL": "11.1.0"}), decodes=True).choices == ((),)
    old = needs_of("pi", facts({**everything, "PIL": "9.4.0"}), decodes=True).choices
    assert old == ((f"pillow=={metadata.version('pillow')}",), ("pillow>=10.3",))
    bits = facts({"numpy": "1.24.2", "tflite_runtime": "2.14.0", "PIL": "9.4.0"}, **BIT_32)
    with pytest.raises(DeviceError, match="no Pillow 10.3 or newer"):
        needs_of("pi", bits, decodes=True)


def test_tags_are_no_newer_than_the_device_s_c_library():
    tags = tags_of(facts(libc="glibc 2.19"))
    assert tags == (
        "manylinux_2_19_aarch64", "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64",
        "linux_aarch64",
    )  # fmt: skip
    assert tags_of(facts(**BIT_32))[0] == "manylinux_2_36_armv7l"


def test_versions():
    assert version("1.24.2") == (1, 24, 2) and version("2.0.0rc1") == (2, 0, 0) and version("") == ()
    assert version("1.26.4+cpu") == (1, 26, 4)
