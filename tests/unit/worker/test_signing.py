"""Where the objects of buckets are, and how requests for them are signed."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from streammonitor_worker.ingest import Bucket, SourceError

S3 = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
AZ = {
    "AZURE_STORAGE_ACCOUNT_NAME": "acc",
    "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"k" * 32).decode(),
}


@pytest.mark.parametrize(
    ("bucket", "url"),
    [
        (Bucket("s3", "b"), "https://s3.us-east-1.amazonaws.com/b/live/a%20b.ts"),
        (
            Bucket("s3", "b", None, "eu-west-1"),
            "https://s3.eu-west-1.amazonaws.com/b/live/a%20b.ts",
        ),
        (Bucket("s3", "b", "http://minio:9000/"), "http://minio:9000/b/live/a%20b.ts"),
        (Bucket("gs", "b"), "https://storage.googleapis.com/b/live/a%20b.ts"),
        (Bucket("az", "b", credentials=AZ), "https://acc.blob.core.windows.net/b/live/a%20b.ts"),
    ],
)
def test_an_object_has_a_place_in_the_web(bucket: Bucket, url: str) -> None:
    for path in ("live/a b.ts", "live/a%20b.ts"):
        assert bucket.url(f"{bucket.kind}://b/{path}") == url


def _service_account() -> dict[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"client_email": "a@b", "private_key": pem, "private_key_id": "1"}
    account |= {"type": "service_account"}
    return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)}


@pytest.mark.parametrize(
    ("bucket", "parameter"),
    [
        (Bucket("s3", "b", credentials=S3), "X-Amz-Signature"),
        (Bucket("s3", "b", credentials=S3 | {"AWS_SESSION_TOKEN": "t"}), "X-Amz-Security-Token"),
        (Bucket("az", "b", credentials=AZ), "sig"),
        (Bucket("gs", "b", credentials=_service_account()), "X-Goog-Signature"),
    ],
)
def test_what_is_in_the_bucket_is_signed_and_nothing_else(bucket: Bucket, parameter: str) -> None:
    url = bucket.url(f"{bucket.kind}://b/live/a b.ts")
    signed = urlsplit(bucket.signed(f"{url}?old=1#video"))
    assert parameter in parse_qs(signed.query)
    assert signed._replace(query="").geturl() == url
    for other in ("https://elsewhere.example/b/live/a.ts", f"{bucket.root[:-1]}-other/a.ts"):
        assert bucket.signed(other) == other
    assert "secret" not in repr(bucket)


def test_credentials_that_are_none_are_told_and_not_shown() -> None:
    bucket = Bucket("az", "b", credentials=AZ | {"AZURE_STORAGE_ACCOUNT_KEY": "no base64!"})
    with pytest.raises(SourceError) as caught:
        bucket.signed(bucket.url("az://b/a.ts"))
    assert caught.value.reason == "SecretInvalid"
    assert "base64" not in caught.value.message


def test_the_key_of_an_account_does_not_say_where_the_store_is() -> None:
    key = json.loads(_service_account()["GOOGLE_SERVICE_ACCOUNT_KEY"])
    key |= {"gcs_base_url": "http://169.254.169.254", "disable_oauth": True}
    bucket = Bucket("gs", "b", credentials={"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(key)})
    assert bucket.signed(f"{bucket.root}a").startswith("https://storage.googleapis.com/b/a?")
    assert "169.254" not in str(bucket.store.config)


@pytest.mark.parametrize("text", ["none", "[]"])
def test_what_is_no_key_of_an_account_is_told(text: str) -> None:
    bucket = Bucket("gs", "b", credentials={"GOOGLE_SERVICE_ACCOUNT_KEY": text})
    with pytest.raises(SourceError) as caught:
        bucket.signed(f"{bucket.root}a")
    assert caught.value.reason == "SecretInvalid"
