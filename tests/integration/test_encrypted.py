"""Media that Shaka Packager and the ffmpeg command encrypted, decrypted to the very sample."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dev.media import packager
from dev.media.clips import write_clip
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.ingest import NO_KEYS, ContentKey, ContentKeys, SourceError, open_source
from streammonitor_worker.ingest.encryption.sample_aes import SampleKey
from streammonitor_worker.ingest.readers.cenc import CencReader
from streammonitor_worker.ingest.readers.memory import BytesReader
from streammonitor_worker.ingest.readers.sample_aes import SampleAesReader
from tests.unit.worker.web import Answer, Web, serving

SECONDS = 3
PICTURE_KEY = ContentKey(packager.KEYS[packager.PICTURE_KEY_ID], packager.IV)
KEYS = ContentKeys(
    "Secret 'keys'", {key_id: ContentKey(key) for key_id, key in packager.KEYS.items()}
)
ONE = ContentKeys("Secret 'keys'", {}, PICTURE_KEY)
KEYS_OF_PICTURE = ContentKeys("Secret 'keys'", {packager.PICTURE_KEY_ID: PICTURE_KEY})
SKD = ("--protection_systems", "FairPlay", "--hls_key_uri", "skd://key")
"""The playlist names only what a licence is asked for with."""
URI = ("--hls_key_uri", "the.key")
"""The playlist names where the key itself is."""
HLS, DASH = packager.MASTER, packager.MANIFEST


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, video, audio in (
        ("aac", "libx264", "aac"),
        ("ac3", "libx264", "ac3"),
        ("eac3", "libx264", "eac3"),
        ("hevc", "libx265", "aac"),
    ):
        # Sharply coded: slices that are long enough to be encrypted in several places.
        write_clip(
            folder / f"{name}.mp4",
            duration_s=SECONDS,
            size=(192, 108),
            gop_s=1,
            crf=12,
            video_codec=video,
            audio_codec=audio,
        )
    return folder


Package = Callable[..., Path]


@pytest.fixture
def packages(clips: Path, tmp_path: Path) -> Package:
    """Packages a clip of this name, and returns the folder."""

    def package(clip: str, **options: Any) -> Path:
        folder = tmp_path / f"{clip}-{options.get('scheme')}"
        packager.package(clips / f"{clip}.mp4", folder, **options)
        return folder

    return package


@pytest.fixture
def clear(clips: Path, tmp_path: Path) -> Path:
    """The same clip, packaged without encryption."""
    packager.package(clips / "aac.mp4", tmp_path / "clear")
    return tmp_path / "clear"


Content = tuple[list[str], list[str]]


def played(url: str, keys: ContentKeys = NO_KEYS) -> Content:
    """What there is to see and to hear, as digests."""
    pictures, sounds = [], []
    with open_source(url, live=False, keys=keys) as source:
        for item in source:
            if isinstance(item, FrameView):
                assert not item.corrupt
                pictures.append(hashlib.sha256(item.luma.tobytes()).hexdigest())
            elif isinstance(item, AudioView):
                sounds.append(hashlib.sha256(item.samples.tobytes()).hexdigest())
        assert source.counters.decode_errors == 0
        assert source.decrypted or not keys
    return pictures, sounds


def files(folder: Path) -> Iterator[tuple[str, Answer]]:
    for path in folder.iterdir():
        yield f"/{folder.name}/{path.name}", Answer(path.read_bytes())


def played_from(folder: Path, name: str, keys: ContentKeys = NO_KEYS, key: bytes = b"") -> Content:
    """The same, of what is in a folder; `key` is what its playlists name as theirs."""
    answers = dict(files(folder)) | ({f"/{folder.name}/the.key": Answer(key)} if key else {})
    with serving(answers) as web:
        return played(f"{web.url}/{folder.name}/{name}", keys)


@pytest.mark.parametrize(
    ("clip", "scheme", "name"),
    [
        ("aac", "cenc", HLS),
        ("aac", "cenc", DASH),
        ("aac", "cbcs", HLS),
        ("aac", "cbcs", DASH),
        ("hevc", "cenc", DASH),
        ("hevc", "cbcs", HLS),
        # These two DASH alone knows.
        ("aac", "cens", DASH),
        ("aac", "cbc1", DASH),
    ],
)
def test_fragments_are_decrypted_with_the_key_that_each_names(
    clips: Path, tmp_path: Path, clip: str, scheme: str, name: str
) -> None:
    packager.package(clips / f"{clip}.mp4", tmp_path / "clear")
    packager.package(clips / f"{clip}.mp4", tmp_path / "secret", scheme=scheme)

    content = played_from(tmp_path / "secret", name, KEYS)
    assert content == played_from(tmp_path / "clear", name)
    assert len(content[0]) == 25 * SECONDS


@pytest.mark.parametrize("form", ["file", "mp4"])
@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
def test_one_key_may_serve_for_all(clear: Path, clips: Path, form: str, scheme: str) -> None:
    folder = clear.parent / "secret"
    packager.package(clips / "aac.mp4", folder, form=form, scheme=scheme, one_key=True, more=SKD)

    for name in (HLS, DASH):
        assert played_from(folder, name, ONE) == played_from(clear, name)


@pytest.mark.parametrize("case", ["aac ts", "ac3 ts", "eac3 ts", "aac packed", "aac mp4"])
@pytest.mark.parametrize(
    ("where", "keys", "key"),
    [
        pytest.param(URI, NO_KEYS, PICTURE_KEY.value, id="key by URI"),
        pytest.param(SKD, ONE, b"", id="key from a Secret"),
    ],
)
def test_sample_aes_is_decrypted(
    packages: Package, case: str, where: Sequence[str], keys: ContentKeys, key: bytes
) -> None:
    clip, form = case.split()
    streams = ("audio",) if form == "packed" else ("video", "audio")
    clear = packages(clip, form=form, streams=streams)
    secret = packages(clip, form=form, streams=streams, scheme="cbcs", one_key=True, more=where)

    content = played_from(secret, HLS, keys, key)
    assert content == played_from(clear, HLS)
    assert len(content[1]) > 30 * SECONDS


def test_slices_of_a_picture_are_decrypted_one_by_one(clips: Path, tmp_path: Path) -> None:
    sliced = tmp_path / "sliced.mp4"
    encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-x264-params", "slices=4", "-g", "25"]
    _ffmpeg(clips / "aac.mp4", sliced, "-an", "-qp", "4", *encoder)
    packager.package(sliced, tmp_path / "clear", form="ts", streams=("video",))
    packager.package(
        sliced, tmp_path / "secret", form="ts", streams=("video",), scheme="cbcs", more=SKD
    )

    content = played_from(tmp_path / "secret", HLS, KEYS_OF_PICTURE)
    assert content == played_from(tmp_path / "clear", HLS)
    assert len(content[0]) == 25 * SECONDS


def test_a_clear_lead_and_keys_that_change_are_followed(clear: Path, clips: Path) -> None:
    lead, rotating = clear.parent / "lead", clear.parent / "rotating"
    packager.package(clips / "aac.mp4", lead, scheme="cenc", more=("--clear_lead", "1"))
    packager.package(
        clips / "aac.mp4", rotating, scheme="cenc", more=("--crypto_period_duration", "1")
    )

    assert played_from(lead, HLS, KEYS) == played_from(clear, HLS)
    # The packager makes further keys by turning both the id and the key.
    turned = {
        key_id[turn:] + key_id[:turn]: ContentKey(key[turn:] + key[:turn])
        for key_id, key in packager.KEYS.items()
        for turn in range(16)
    }
    assert played_from(rotating, HLS, ContentKeys("", turned)) == played_from(clear, HLS)


def test_clear_and_differently_encrypted_parts_may_follow_each_other(
    clear: Path, clips: Path
) -> None:
    """As where advertisements are inserted: each part has an initialization of its own."""
    folder = clear.parent / "secret"
    for prefix, scheme in (("a-", "cenc"), ("b-", None), ("c-", "cbcs")):
        packager.package(
            clips / "aac.mp4", folder, streams=("video",), scheme=scheme, prefix=prefix
        )
    parts = [
        f'#EXT-X-MAP:URI="{prefix}video.mp4"\n#EXTINF:1.0,\n{prefix}video-{number}.m4s\n'
        for number, prefix in enumerate(("a-", "b-", "c-"), 1)
    ]
    (folder / "mixed.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n"
        + "#EXT-X-DISCONTINUITY\n".join(parts)
        + "#EXT-X-ENDLIST\n"
    )

    assert played_from(folder, "mixed.m3u8", KEYS)[0] == played_from(clear, HLS)[0]


@pytest.fixture
def whole(clips: Path, tmp_path: Path) -> Iterator[tuple[Web, bytes]]:
    """MP4s that are sources of their own: by the ffmpeg command, and by the packager."""
    key_id, key = next(iter(packager.KEYS.items()))
    options = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key.hex())
    secret = tmp_path / "whole.mp4"
    _ffmpeg(clips / "aac.mp4", secret, "-c", "copy", *options, "-encryption_kid", key_id.hex())
    answers = {"/clear.mp4": clips / "aac.mp4", "/secret.mp4": secret}
    with serving({name: Answer(path.read_bytes()) for name, path in answers.items()}) as web:
        yield web, key_id


def test_an_mp4_is_decrypted_as_a_whole(whole: tuple[Web, bytes]) -> None:
    web, key_id = whole
    clear = played(f"{web.url}/clear.mp4")
    assert len(clear[0]) == 25 * SECONDS
    for keys in (
        ONE,
        KEYS,
        ContentKeys("", {packager.SOUND_KEY_ID: ContentKey(key_id)}, PICTURE_KEY),
    ):
        assert played(f"{web.url}/secret.mp4", keys) == clear


def test_an_mp4_without_its_key_says_so(whole: tuple[Web, bytes]) -> None:
    web, key_id = whole
    other = ContentKeys("Secret 'keys'", {packager.SOUND_KEY_ID: ContentKey(bytes(16))})
    for keys, reason, said in (
        (NO_KEYS, "Encrypted", key_id.hex()),
        (other, "KeyMissing", "Secret 'keys' does not hold"),
    ):
        with pytest.raises(SourceError) as caught:
            played(f"{web.url}/secret.mp4", keys)
        assert caught.value.reason == reason
        assert said in caught.value.message


@pytest.mark.parametrize("name", [HLS, DASH])
@pytest.mark.parametrize(
    ("keys", "reason", "remedy"),
    [
        (NO_KEYS, "Encrypted", "set decryption.keysFrom"),
        (KEYS_OF_PICTURE, "KeyMissing", f"add it as {packager.SOUND_KEY_ID.hex()}"),
    ],
)
def test_what_is_not_decrypted_is_not_shown(
    packages: Package, name: str, keys: ContentKeys, reason: str, remedy: str
) -> None:
    secret = packages("hevc", scheme="cbcs", more=SKD)

    with pytest.raises(SourceError) as caught:
        played_from(secret, name, keys)
    assert caught.value.reason == reason
    assert remedy in caught.value.message
    assert packager.KEYS[packager.PICTURE_KEY_ID].hex() not in caught.value.message


@pytest.mark.parametrize("key", [bytes(15), bytes(17), b""])
def test_what_is_no_key_where_the_playlist_names_one_is_told(
    clips: Path, tmp_path: Path, key: bytes
) -> None:
    packager.package(
        clips / "aac.mp4", tmp_path / "secret", form="ts", scheme="cbcs", one_key=True, more=URI
    )

    with pytest.raises(SourceError) as caught:
        played_from(tmp_path / "secret", HLS, NO_KEYS, key)
    assert caught.value.reason == ("DecryptionFailed" if key else "NotFound")


def test_damaged_media_are_refused_or_passed_on_but_harm_nothing(packages: Package) -> None:
    fragments = packages("aac", scheme="cenc", more=("--crypto_period_duration", "1"))
    segments = packages("ac3", form="ts", scheme="cbcs", one_key=True, more=SKD)
    start = CencReader(_read(fragments / "video.mp4"), KEYS, "u")
    whole = b"".join(iter(lambda: start.read(1 << 20), b""))
    assert b"avc1" in whole
    assert b"encv" not in whole
    key = SampleKey(PICTURE_KEY.value, packager.IV)
    dice = Random(6)
    refused = 0
    for _ in range(150):
        for path in (fragments / "video.mp4", fragments / "video-1.m4s", segments / "video-1.ts"):
            damaged = bytearray(path.read_bytes())
            for _ in range(dice.choice((1, 4, 16))):
                damaged[dice.randrange(min(len(damaged), 2000))] = dice.randrange(256)
            given = BytesReader(damaged[: dice.randrange(len(damaged))])
            reader = (
                SampleAesReader(given, key, "u")
                if path.suffix == ".ts"
                else CencReader(given, KEYS, "u", tracks=start.tracks)
            )
            try:
                while reader.read(1 << 20):
                    pass
            except SourceError as error:
                assert error.reason in ("DecryptionFailed", "KeyMissing")  # noqa: PT017
                refused += 1
    assert refused > 20


def _read(path: Path) -> BytesReader:
    return BytesReader(path.read_bytes())


def _ffmpeg(source: Path, target: Path, *options: str) -> None:
    command = shutil.which("ffmpeg")
    assert command is not None, "python -m dev.packages installs it"
    given = [command, "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(given, check=True, timeout=60)
