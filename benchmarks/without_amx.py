"""A command without the processor's matrix units (AMX), as on one that has none: no phone and no Raspberry Pi has them.

python benchmarks/without_amx.py COMMAND [ARGUMENT ...]

Linux gives AMX to a process that asks for it (arch_prctl with ARCH_REQ_XCOMP_PERM; Documentation/arch/x86/xstate.rst of
the kernel); here a seccomp filter refuses, for the command and all that it starts, and XNNPACK takes its next best
kernels (AVX-512 VNNI). Linux on x86-64 alone; elsewhere there is nothing to refuse, and the command just runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

ARCH_PRCTL, REQUEST, TILE_DATA = 158, 0x1023, 18  # asm/unistd_64.h, asm/prctl.h, asm/fpu/types.h
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
NUMBER, FIRST_ARGUMENT = 0, 16  # where struct seccomp_data has them


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def amx() -> bool:
    """Whether this process gets the matrix units."""
    if not _has_the_call():
        return False
    return int(ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST, TILE_DATA)) == 0


def refuse() -> None:
    """From here on, for this process and its children; it cannot be taken back. Raises OSError where Linux will not."""
    if not _has_the_call():
        return
    steps = [
        (LOAD, 0, 0, NUMBER), (IF_EQUAL, 0, 3, ARCH_PRCTL),
        (LOAD, 0, 0, FIRST_ARGUMENT), (IF_EQUAL, 0, 1, REQUEST),
        (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip
    program = Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SECCOMP, FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), f"prctl: {os.strerror(ctypes.get_errno())}")


def _has_the_call() -> bool:
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    refuse()
    os.execvp(sys.argv[1], sys.argv[1:])
