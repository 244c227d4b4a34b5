"""`streammonitor marker`: write a clip of flashes and beeps, to be sent through a chain."""

from bisect import bisect_right
from fractions import Fraction
from pathlib import Path
from typing import Annotated, NoReturn

import av
import numpy as np
import numpy.typing as npt
import typer

from streammonitor_worker.markers import BEEP_AMPLITUDE, BEEP_HZ, BEEP_S, EVERY_S, FLASH_S

SAMPLE_RATE = 48_000
FIRST_S = 1.0
"""The first marker comes after so much."""
BLACK, WHITE, NEUTRAL = 16, 235, 128


def marker_command(
    output: Annotated[Path, typer.Argument(help="Where to; its ending says how: .ts, .mp4, .mkv.")],
    duration_s: Annotated[
        float, typer.Option("--duration", help="In seconds.", min=4.0, max=86_400.0)
    ] = 60.0,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT")] = "1280x720",
    rate: Annotated[str, typer.Option(help="Pictures a second, as in 25 or 30000/1001.")] = "25",
) -> None:
    """Write a clip whose sound and pictures are in sync, for avSync's `markers` to find."""
    try:
        width, height = (int(one) for one in size.lower().split("x"))
        frame_rate = Fraction(rate)
    except (ValueError, ZeroDivisionError):
        _refuse(f"--size {size} or --rate {rate} is not one: write them as 1280x720 and 30000/1001")
    if not (16 <= width <= 8192 and 16 <= height <= 4352) or width % 2 or height % 2:
        _refuse(f"--size is {size}: both must be even, from 16x16 to 8192x4352")
    if not 1 <= frame_rate <= 240:
        _refuse(f"--rate is {rate}: it must be from 1 to 240")
    try:
        write_marker_clip(output, duration_s, (width, height), frame_rate)
    except (av.FFmpegError, OSError, ValueError) as error:
        _refuse(f"{output} cannot be written ({error}): name a file that ends in .ts, .mp4 or .mkv")
    typer.echo(f"{output}: a flash and a beep every {EVERY_S:g} s, from {FIRST_S:g} s on")


def write_marker_clip(
    path: Path, duration_s: float, size: tuple[int, int], frame_rate: Fraction
) -> None:
    """Encode it: H.264 and AAC.

    Args:
        path: Where to.
        duration_s: How long.
        size: Width and height, even.
        frame_rate: Pictures a second. Flashes begin with a picture, and beeps with their flash.

    Raises:
        av.FFmpegError: It cannot be written.
    """
    dark, light = (_picture(size, level) for level in (BLACK, WHITE))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=frame_rate)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "veryfast", "crf": "18", "tune": "zerolatency"}
        video.gop_size = round(2 * frame_rate)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        played, count = 0, round(duration_s * frame_rate)
        flashes = _flashes(count, frame_rate)
        for index in range(count):
            flash = flashes[max(0, bisect_right(flashes, index) - 1)]
            lit = flash <= index < flash + max(1, round(FLASH_S * frame_rate))
            picture = light if lit else dark
            picture.pts, picture.time_base = index, 1 / frame_rate
            container.mux(video.encode(picture))
            until = round((index + 1) * SAMPLE_RATE / frame_rate)
            sound = _sound(np.arange(played, until), float(flash / frame_rate))
            sound.pts, played = played, until
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _flashes(count: int, frame_rate: Fraction) -> list[int]:
    """The numbers of the pictures among the first `count` with which flashes begin."""
    most = int(count / frame_rate / Fraction(EVERY_S)) + 1
    return [round((Fraction(FIRST_S) + n * Fraction(EVERY_S)) * frame_rate) for n in range(most)]


def _picture(size: tuple[int, int], level: int) -> av.VideoFrame:
    width, height = size
    planes = np.full((height * 3 // 2, width), NEUTRAL, np.uint8)
    planes[:height] = level
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _sound(samples: npt.NDArray[np.int_], flash_s: float) -> av.AudioFrame:
    since_s = samples / SAMPLE_RATE - flash_s
    sounding = (since_s >= 0) & (since_s < BEEP_S)
    wave = BEEP_AMPLITUDE * np.sin(2 * np.pi * BEEP_HZ * since_s) * sounding
    frame = av.AudioFrame.from_ndarray(
        np.repeat(wave[np.newaxis].astype(np.float32), 2, axis=0), format="fltp", layout="stereo"
    )
    frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
    return frame


def _refuse(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(2)
