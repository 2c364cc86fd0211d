"""A short sound that depends on the text only: what both wires' speech models say."""

from __future__ import annotations

import math
import struct
import zlib

RATE_HZ = 24_000
_MAX_SECONDS = 2.0


def pcm_of(text: str) -> bytes:
    """16-bit mono samples: a tone whose pitch comes from the text, 20 ms a character, two seconds at most."""
    pitch_hz = 220 + zlib.crc32(text.encode("utf-8", "replace")) % 440
    samples = int(RATE_HZ * min(_MAX_SECONDS, 0.1 + 0.02 * len(text)))
    period = RATE_HZ // pitch_hz
    wave = [int(8_000 * math.sin(2 * math.pi * step / period)) for step in range(period)]
    cycle = struct.pack(f"<{period}h", *wave)
    return (cycle * (samples // period + 1))[: samples * 2]


def wav_of(text: str) -> bytes:
    """The same with a RIFF header."""
    data = pcm_of(text)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(
            b"RIFF",
            36 + len(data),
            b"WAVE",
            b"fmt ",
            16,
            1,
            1,
            RATE_HZ,
            RATE_HZ * 2,
            2,
            16,
            b"data",
            len(data),
        ),
    )
    return head + data


def mp3_of(text: str) -> bytes:
    """As long as `pcm_of`: frames of MPEG-1 layer III (128 kbit/s, 44.1 kHz) that hold 26 ms of silence."""
    frames = len(pcm_of(text)) * 1000 // (RATE_HZ * 2) // 26 + 1
    return (b"\xff\xfb\x90\x64" + b"\x00" * 413) * frames
