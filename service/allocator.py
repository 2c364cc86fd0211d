"""Memory that large requests took goes back to the system when they end."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # glibc, malloc.h
_LARGE_BYTES = 1 << 20


def give_large_blocks_back() -> bool:
    """Have blocks of a megabyte and more mapped one by one, so that freeing one returns it.

    glibc does so from 128 KiB at first, and moves the bound up to 32 MiB as such blocks are freed: then one
    conversation of ten megabytes leaves three times its size in the heap for good (measured). False where the
    C library has no such switch; then nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES))
