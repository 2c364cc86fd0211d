"""The sound depends on the text only."""

import io
import wave

from service.simulator.speech import RATE_HZ, mp3_of, pcm_of, wav_of


def test_longer_text_is_longer_sound_up_to_two_seconds():
    short, long, endless = (len(pcm_of("x" * count)) / 2 / RATE_HZ for count in (1, 20, 10_000))
    assert 0 < short < long < endless == 2


def test_other_text_is_another_tone():
    assert pcm_of("one") != pcm_of("two")
    assert pcm_of("one") == pcm_of("one")


def test_wav_opens_and_holds_the_same_samples():
    with wave.open(io.BytesIO(wav_of("Hello"))) as sound:
        assert sound.readframes(sound.getnframes()) == pcm_of("Hello")


def test_mp3_is_whole_frames():
    assert len(mp3_of("Hello")) % 417 == 0
