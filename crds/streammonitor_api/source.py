"""How a source is reached, and which part of it is monitored."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from streammonitor_api.model import Model

ONE_PROGRAM = "program names none or both of number and service: set exactly one of them"


class SecretKeyRef(Model):
    """One key of a Secret in the StreamMonitor's namespace."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Name of the Secret."""
    key: Annotated[
        str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    ]
    """Key in the Secret."""


class HeaderFrom(Model):
    """An HTTP request header whose value comes from a Secret."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
    ]
    """Name of the header, as in Authorization."""
    secret_key_ref: SecretKeyRef
    """Where the value comes from. A missing Secret is a problem of this stream or sink alone."""


class QueryFrom(Model):
    """A query parameter of a URL whose value comes from a Secret."""

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=128, pattern=r"^[-A-Za-z0-9._~]+$")
    ]
    """Name of the parameter, as in token or, with SRT, passphrase."""
    secret_key_ref: SecretKeyRef
    """Where the value comes from. A missing Secret is a problem of this stream alone."""


class UserInfoFrom(Model):
    """User name and password, for HTTP's basic and RTSP's digest authentication."""

    username: SecretKeyRef
    """Where the user name comes from."""
    password: SecretKeyRef
    """Where the password comes from."""


class SecretRef(Model):
    """A Secret in the StreamMonitor's namespace."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Name of the Secret."""


class KeysFrom(Model):
    """Where the keys of encrypted media come from."""

    secret_ref: SecretRef
    """A Secret with a key of media for each key id: the names of its keys are key ids, as 32
    hexadecimal digits or as a UUID, or "default" for whatever id is not named; the values are the
    16 bytes of the key as 32 hexadecimal digits, and may end with a colon and an initialization
    vector in the same form, for FairPlay in MPEG-TS, which does not say its own. A missing one is a
    problem of this stream alone."""


class Decryption(Model):
    """How encrypted media are read."""

    keys_from: KeysFrom
    """Where the keys come from."""


class CredentialsFrom(Model):
    """Where the credentials of an object store come from."""

    secret_ref: SecretRef
    """A Secret with, for s3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if they are temporary,
    AWS_SESSION_TOKEN; for gs, GOOGLE_SERVICE_ACCOUNT_KEY (JSON); for az, AZURE_STORAGE_ACCOUNT_NAME
    and AZURE_STORAGE_ACCOUNT_KEY. A missing one is a problem of this stream, or of the results,
    alone."""


class ObjectStore(Model):
    """Where a bucket is, and how its objects are asked for."""

    endpoint: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=253, pattern=r"^https?://[^/?#@\\\s]+/?$"),
        ]
        | None
    ) = None
    """URL of an S3 server that is not Amazon's, as in https://minio.example:9000. Default: the
    store's own."""
    region: (
        Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[-a-z0-9]+$")]
        | None
    ) = None
    """Region of an s3 bucket. Default: us-east-1."""
    credentials_from: CredentialsFrom | None = None
    """Where the credentials come from. Default: none, as for public objects."""


class Variant(Model):
    """Which of the renditions is monitored that a source offers."""

    video: Literal["highest", "lowest"] | None = None
    """Among those that fit: the picture with most lines, or with fewest. Default: highest."""
    height: Annotated[int, Field(ge=1, le=16384)] | None = None
    """Lines of the picture. Default: any."""
    max_bandwidth: Annotated[int, Field(ge=1)] | None = None
    """The most bits per second, as the manifest states them. Default: any."""
    audio_language: Annotated[str, StringConstraints(min_length=1, max_length=35)] | None = None
    """Language of the sound, as in en or pt-BR. Default: the one that the source prefers."""
    audio_name: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Name of the sound. Default: any."""


class Program(Model):
    """Which program of an MPEG-TS multiplex is monitored: exactly one of these."""

    number: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Its number, as the program association table has it."""
    service: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Its name, as the service description table has it, in upper or lower case."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.number is None) is (self.service is None):
            raise ValueError(ONE_PROGRAM)
        return self
