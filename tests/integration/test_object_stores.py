"""Sources in the buckets of a real S3 server, versitygw."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.media import packager
from dev.media.s3_server import ACCESS_KEY, SECRET_KEY, s3_server
from streammonitor_api.spec import Stream
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import EVERYTHING, Access, SourceError, open_source
from streammonitor_worker.secrets import read_credentials


@pytest.fixture(scope="module")
def endpoint(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a bucket of HLS and of a file."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "arena").mkdir()
    packager.package(media / "clean.mp4", folder / "arena" / "live one")
    (folder / "arena" / "clean.ts").write_bytes((media / "clean.ts").read_bytes())
    with s3_server(folder) as url:
        yield url


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A mounted Secret."""
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "AWS_ACCESS_KEY_ID").write_text(ACCESS_KEY)
    (tmp_path / "bucket" / "AWS_SECRET_ACCESS_KEY").write_text(f"{SECRET_KEY}\n")
    return tmp_path


def in_bucket(endpoint: str, path: str, *, signed: bool = True) -> Stream:
    store = {"endpoint": endpoint, "credentialsFrom": {"secretRef": {"name": "bucket"}}}
    if not signed:
        del store["credentialsFrom"]
    return Stream.model_validate({"name": "a", "url": f"s3://arena/{path}", "objectStore": store})


def played(secrets: Path, stream: Stream, access: Access = EVERYTHING) -> int:
    """How many pictures there are."""
    found = read_credentials(secrets, stream)
    with open_source(found.url, live=False, access=access, bucket=found.bucket) as source:
        return sum(isinstance(item, FrameView) for item in source)


@pytest.mark.parametrize("path", ["clean.ts", "live one/master.m3u8", "live%20one/manifest.mpd"])
def test_objects_are_read_with_credentials_from_a_secret(
    endpoint: str, secrets: Path, path: str
) -> None:
    assert played(secrets, in_bucket(endpoint, path)) == 500


@pytest.mark.parametrize("path", ["clean.ts", "live one/master.m3u8"])
def test_without_the_right_credentials_nothing_is_read(
    endpoint: str, secrets: Path, path: str
) -> None:
    (secrets / "bucket" / "AWS_SECRET_ACCESS_KEY").write_text("another")
    for signed in (True, False):
        with pytest.raises(SourceError) as caught:
            played(secrets, in_bucket(endpoint, path, signed=signed))
        assert caught.value.reason == "Forbidden"
        assert ACCESS_KEY not in caught.value.message
        assert "Signature" not in caught.value.message


def test_what_is_not_there_is_told(endpoint: str, secrets: Path) -> None:
    with pytest.raises(SourceError) as caught:
        played(secrets, in_bucket(endpoint, "other.ts"))
    assert caught.value.reason == "NotFound"


def test_a_bucket_is_where_a_worker_may_connect_to(endpoint: str, secrets: Path) -> None:
    for access, reason in ((Access(), "AddressNotAllowed"), (Access(hosts=()), "HostNotAllowed")):
        with pytest.raises(SourceError) as caught:
            played(secrets, in_bucket(endpoint, "clean.ts"), access)
        assert caught.value.reason == reason
