"""The switch is thrown where there is one, and missed where there is none."""

from __future__ import annotations

import ctypes
import platform

import pytest

from service.allocator import give_large_blocks_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc has the switch")
def test_glibc_takes_the_threshold() -> None:
    assert give_large_blocks_back()


def test_library_without_the_switch_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not give_large_blocks_back()
