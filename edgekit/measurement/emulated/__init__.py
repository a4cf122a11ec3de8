"""Raspberry Pis without a Pi: the real aarch64 runtime under QEMU, which counts instructions and times nothing."""
