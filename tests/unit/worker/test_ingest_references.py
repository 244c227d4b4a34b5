"""What never came and would have been referred to is told by the pictures that did come."""

import io
from functools import cache

import av
import numpy as np
import pytest

from dev.media.damage import Coding, Damage, damage, encode, generated
from dev.media.visible import decode
from streammonitor_worker.ingest.bits import Bits
from streammonitor_worker.ingest.references import H264References, references_of

FRAMES, GOP = 30, 10


@cache
def clean(codec: str, b_frames: int) -> bytes:
    coding = Coding(codec=codec, gop=GOP, slices=2, b_frames=b_frames)
    return encode(generated("texture", (96, 96), FRAMES), coding)


def told(clip: bytes, container: str = "mpegts") -> list[int]:
    """Numbers of the access units that lack a reference."""
    with av.open(io.BytesIO(clip), "r") as source:
        video = source.streams.video[0]
        packets = [packet for packet in source.demux(video) if packet.size]
        if container != "mpegts":
            out = io.BytesIO()
            with av.open(out, "w", format=container) as target:
                stream = target.add_stream_from_template(video, opaque=True)
                for packet in packets:
                    packet.stream = stream
                    target.mux(packet)
            return told(out.getvalue())
        references = references_of(video.codec_context.name, video.codec_context.extradata)
        assert references is not None
        return [n for n, packet in enumerate(packets) if references.missing(bytes(packet))]


@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_nothing_is_missing_from_a_whole_stream(codec: str, b_frames: int) -> None:
    assert told(clean(codec, b_frames)) == []


@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
@pytest.mark.parametrize("lost", [*range(21, 29)])
def test_a_lost_picture_is_told_if_another_one_refers_to_it(codec: str, lost: int) -> None:
    hurt = damage(clean(codec, 0), [Damage("unit", first=lost, count=1)])
    whole = dict(decode(clean(codec, 0)))
    assert any(not np.array_equal(whole[ticks], shown) for ticks, shown in decode(hurt))
    assert told(hurt) == [lost]


@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
def test_a_picture_that_none_refers_to_may_be_lost(codec: str) -> None:
    whole = dict(decode(clean(codec, 2)))
    unharmed = 0
    for lost in range(21, 28):
        hurt = damage(clean(codec, 2), [Damage("unit", first=lost, count=1)])
        differs = any(not np.array_equal(whole[ticks], shown) for ticks, shown in decode(hurt))
        assert bool(told(hurt)) == differs
        unharmed += not differs
    assert unharmed


@pytest.mark.parametrize("container", ["mp4", "flv"])
def test_units_with_a_length_before_them_are_read_as_well(container: str) -> None:
    assert told(clean("h264", 0), container) == []
    hurt = damage(clean("h264", 0), [Damage("unit", first=23, count=2)])
    assert told(hurt, container) == [23]


def test_other_codecs_need_no_such_check() -> None:
    assert references_of("hevc", None) is None


@pytest.mark.parametrize("cut", [0, 1, 3, 5, 8, 13, 30])
def test_what_was_cut_off_is_survived(cut: int) -> None:
    references = H264References(b"\x01" + bytes(cut))
    for nal in (7, 8, 1, 5):
        assert not references.missing(b"\x00\x00\x01" + bytes([nal]) + b"\xff" * cut)


def test_bits_are_read_as_the_standard_says() -> None:
    # 1 | 010 | 011 | 00100 | 011: table 9-2 of H.264, the last one signed.
    bits = Bits(bytes([0b1_010_011_0, 0b0100_011_0]))
    assert [bits.exp_golomb() for _ in range(4)] == [0, 1, 2, 3]
    assert bits.signed_exp_golomb() == -1
    assert Bits(b"\x00\x00\x03\x01").read(24) == 1
    with pytest.raises(IndexError):
        Bits(b"").read(1)
