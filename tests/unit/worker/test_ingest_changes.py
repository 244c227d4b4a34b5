"""A live stream becomes another while it is read: what goes on, and what is opened anew."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dev.media.clips import write_clip
from dev.media.surgery import remuxed
from streammonitor_worker.frames import AudioView, FormatChange, FrameView, MediaItem
from streammonitor_worker.ingest import SourceError, open_source
from tests.unit.worker.web import Answer, serving


def part(folder: Path, **how: Any) -> bytes:
    write_clip(folder / "part.ts", **{"duration_s": 1, "size": (64, 36), "gop_s": 1, **how})
    return (folder / "part.ts").read_bytes()


@contextmanager
def sent(data: bytes) -> Iterator[str]:
    """Data to whoever connects over TCP: to ingest, a live source."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def send() -> None:
            link, _ = listener.accept()
            with link:
                try:
                    link.sendall(data)
                except OSError:
                    return

        thread = threading.Thread(target=send)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def read(data: bytes) -> list[MediaItem]:
    with sent(data) as url, open_source(url) as source:
        return list(source)


def of_sound(folder: Path, layout: str, rate: int) -> bytes:
    with av.open(str(folder / "sound.ts"), "w") as container:
        stream = container.add_stream("mp2", rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = layout
        shape = (1 if layout == "mono" else 2, 1152)
        for number in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros(shape, "<i2"), "s16p", layout)
            frame.sample_rate, frame.pts = rate, number * 1152
            resampler = av.AudioResampler("s16", layout, rate)
            for one in resampler.resample(frame):
                container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    return (folder / "sound.ts").read_bytes()


def test_pictures_of_another_size_and_rate_go_on(tmp_path: Path) -> None:
    small, large = part(tmp_path), part(tmp_path, size=(160, 90), frame_rate=50)
    items = read(small + large + small)

    sizes = [one.video.width for one in items if isinstance(one, FormatChange) and one.video]
    assert sizes == [64, 160, 64]
    pictures = [one for one in items if isinstance(one, FrameView)]
    assert [round(1 / one.duration_s) for one in pictures] == 25 * [25] + 50 * [50] + 25 * [25]


@pytest.mark.parametrize(("layout", "rate"), [("mono", 48_000), ("stereo", 44_100)])
def test_sound_of_other_channels_and_another_rate_goes_on(
    layout: str, rate: int, tmp_path: Path
) -> None:
    before, other = of_sound(tmp_path, "stereo", 48_000), of_sound(tmp_path, layout, rate)
    items = read(before + other + before)

    heard = [
        (one.audio.channels, one.audio.sample_rate)
        for one in items
        if isinstance(one, FormatChange) and one.audio
    ]
    assert heard == [(2, 48_000), (1 if layout == "mono" else 2, rate), (2, 48_000)]
    assert sum(isinstance(one, AudioView) for one in items) > 100


def moved(folder: Path, clip: bytes, **tables: str) -> bytes:
    """The same elementary streams at other PIDs, and tables that say so."""
    (folder / "here.ts").write_bytes(clip)
    return remuxed(folder / "here.ts", folder / "there.ts", **tables).read_bytes()


@pytest.mark.parametrize("segmented", [False, True])
def test_picture_and_sound_that_move_to_other_pids_go_on(segmented: bool, tmp_path: Path) -> None:
    here = part(tmp_path)
    there = moved(tmp_path, here, mpegts_start_pid="0x200", tables_version="5")
    assert pids(here).isdisjoint(pids(there) - {0, 0x11, 0x1000})
    parts = [here, there, here]
    if segmented:
        listed = "#EXT-X-DISCONTINUITY\n".join(f"#EXTINF:1,\n{n}.ts\n" for n in range(3))
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{listed}#EXT-X-ENDLIST\n"
        answers = {f"/{n}.ts": Answer(one) for n, one in enumerate(parts)}
        with (
            serving({**answers, "/a.m3u8": Answer(text.encode())}) as web,
            open_source(f"{web.url}/a.m3u8", live=False) as source,
        ):
            items = list(source)
    else:
        items = read(b"".join(parts))

    alone = read(here)
    for kind in (FrameView, AudioView):
        of_one = sum(isinstance(one, kind) for one in alone)
        assert of_one > 0
        assert sum(isinstance(one, kind) for one in items) == 3 * of_one


def spoken(folder: Path, *languages: str) -> bytes:
    """A second of a picture, and of sound in some languages, in this order of the program map."""
    part(folder)
    with (
        av.open(str(folder / "part.ts")) as inside,
        av.open(
            str(folder / "spoken.ts"), "w", options={"tables_version": str(len(languages) + 3)}
        ) as outside,
    ):
        picture = outside.add_stream_from_template(inside.streams.video[0])
        sounds = [outside.add_stream_from_template(inside.streams.audio[0]) for _ in languages]
        for sound, language in zip(sounds, languages, strict=True):
            sound.metadata["language"] = language
        for packet in inside.demux():
            if packet.dts is None:
                continue
            for stream in [picture] if packet.stream.type == "video" else sounds:
                packet.stream = stream
                outside.mux(packet)
    return (folder / "spoken.ts").read_bytes()


@pytest.mark.parametrize(
    ("languages", "heard"),
    [
        pytest.param(["por"], 3, id="another language"),
        pytest.param(["eng", "por"], 3, id="one more language"),
        pytest.param([], 2, id="no sound for a while"),
    ],
)
def test_sound_goes_on_where_its_languages_change(
    languages: list[str], heard: int, tmp_path: Path
) -> None:
    english = spoken(tmp_path, "eng")
    items = read(english + spoken(tmp_path, *languages) + english)

    assert sum(isinstance(one, FrameView) for one in items) == 3 * 25
    of_one = sum(isinstance(one, AudioView) for one in read(english))
    assert of_one > 0
    assert sum(isinstance(one, AudioView) for one in items) == heard * of_one


def pids(data: bytes) -> set[int]:
    """Of the packets of a transport stream."""
    return {(data[at + 1] & 0x1F) << 8 | data[at + 2] for at in range(0, len(data), 188)}


def test_another_codec_has_a_live_source_opened_anew_though_its_pictures_go_on(
    tmp_path: Path,
) -> None:
    other = part(tmp_path, audio_codec="mp2", duration_s=4)
    with pytest.raises(SourceError) as caught:
        read(part(tmp_path) + other)
    assert caught.value.reason == "DecodeFailed"
