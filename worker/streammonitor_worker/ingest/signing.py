"""Objects of a bucket by HTTP: where they are, and requests that are signed with its credentials.

Signed URLs, not an object store's own client: so each request goes through the rules of what may be
reached, to the address that was checked, and a playlist's segments are read as any other's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from streammonitor_worker.ingest.errors import SourceError, redact

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Config, S3Store

SCHEMES = ("s3", "gs", "az")
DEFAULT_REGION = "us-east-1"
VALID_FOR = timedelta(minutes=5)
"""A request is signed when it is made; clocks may differ by this."""
SECRETS: Mapping[str, tuple[str, ...]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "gs": ("GOOGLE_SERVICE_ACCOUNT_KEY",),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"),
}
"""What a Secret holds for each kind of store; a session token only for temporary credentials."""
OPTIONAL = ("AWS_SESSION_TOKEN",)
CLIENT = {"allow_http": True, "connect_timeout": "5s", "timeout": "30s"}
RETRY = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
"""Of the store's own client. Whoever uses it tries again by itself, and says so."""


@dataclass(frozen=True)
class Bucket:
    """A bucket, and what its requests are signed with. Its text shows no credential.

    Attributes:
        kind: One of `SCHEMES`.
        name: Of the bucket or container.
        endpoint: Of S3, where it is, as in https://s3.example; None: at Amazon.
        region: Of S3.
        credentials: As in `SECRETS`; none: it is public.
    """

    kind: str
    name: str
    endpoint: str | None = None
    region: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def root(self) -> str:
        """The URL of the bucket, ending with a slash."""
        if self.kind == "az":
            account = self.credentials.get("AZURE_STORAGE_ACCOUNT_NAME", "")
            where = f"https://{account}.blob.core.windows.net"
        elif self.kind == "gs":
            where = "https://storage.googleapis.com"
        else:
            region = self.region or DEFAULT_REGION
            where = self.endpoint or f"https://s3.{region}.amazonaws.com"
        return f"{where.rstrip('/')}/{self.name}/"

    def url(self, source: str) -> str:
        """Where the object is that a source names, as in s3://bucket/path."""
        return self.root + quote(unquote(urlsplit(source).path.lstrip("/")))

    def signed(self, url: str) -> str:
        """The same URL, as one may ask for it; another one if it is not of this bucket.

        Raises:
            SourceError: The credentials are none.
        """
        if not self.credentials or not url.startswith(self.root):
            return url
        # Imported by whoever needs it: it takes 10 MB.
        import obstore  # noqa: PLC0415

        plain = urlsplit(url)._replace(query="", fragment="").geturl()
        path = unquote(plain.removeprefix(self.root))
        try:
            signed = obstore.sign(self.store, "GET", path, VALID_FOR)
        except Exception:
            # Whatever it says may quote what it was given.
            raise SourceError(
                "SecretInvalid",
                f"{redact(url)} cannot be asked for: the credentials of its bucket are not as "
                f"{self.kind} has them: check the Secret",
            ) from None
        return str(signed)

    @cached_property
    def store(self) -> "S3Store | GCSStore | AzureStore":
        """The store's own client. It looks at no rules of what may be reached.

        Raises:
            KeyError: The credentials lack something.
            ValueError: They are none.
        """
        from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415

        held, options = self.credentials, dict[str, Any](client_options=CLIENT, retry_config=RETRY)
        if self.kind == "gs":
            if not held:
                return GCSStore(self.name, skip_signature=True, **options)
            account = _account(held["GOOGLE_SERVICE_ACCOUNT_KEY"])
            return GCSStore(self.name, service_account_key=account, **options)
        if self.kind == "az":
            # Without an account there is no place to ask.
            account, key = held["AZURE_STORAGE_ACCOUNT_NAME"], held["AZURE_STORAGE_ACCOUNT_KEY"]
            return AzureStore(self.name, account_name=account, account_key=key, **options)
        config: S3Config = {
            "endpoint": self.root.removesuffix(f"/{self.name}/"),
            "region": self.region or DEFAULT_REGION,
        }
        if not held:
            return S3Store(self.name, config={**config, "skip_signature": True}, **options)
        config["access_key_id"] = held["AWS_ACCESS_KEY_ID"]
        config["secret_access_key"] = held["AWS_SECRET_ACCESS_KEY"]
        if token := held.get("AWS_SESSION_TOKEN"):
            config["session_token"] = token
        return S3Store(self.name, config=config, **options)


def _account(text: str) -> str:
    """A service account's key; where the store is, it has no say in.

    Raises:
        ValueError: It is none.
    """
    key = json.loads(text)
    if not isinstance(key, dict):
        raise ValueError("the key of a service account is a JSON object")
    own = ("gcs_base_url", "disable_oauth")
    return json.dumps({name: value for name, value in key.items() if name not in own})
