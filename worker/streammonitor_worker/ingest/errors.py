"""Why a source cannot be read: one CamelCase reason and one sentence, never a credential."""

import errno
import re
import ssl

import av
import av.error as ff

UNAUTHORIZED = ("Unauthorized", "the server wants credentials: set headersFrom")
FORBIDDEN = ("Forbidden", "the server refuses access: check the credentials")
NOT_FOUND = ("NotFound", "the server has nothing at this path: check the URL")
SERVER_ERROR = ("ServerError", "the server answered with an error: see its log")
BAD_REQUEST = ("BadRequest", "the server refuses the request: check the URL")
"""What servers answer: reason and remedy."""

_TIMEOUT = ("Timeout", "it did not answer in time: check that the source is live")
_REASONS: tuple[tuple[type[BaseException], tuple[str, str]], ...] = (
    # FFmpeg's errors of connections and files are Python's too.
    (ff.ExitError, _TIMEOUT),
    (TimeoutError, _TIMEOUT),
    (ssl.SSLError, ("TlsFailed", "it speaks no TLS that is accepted: check the port")),
    (ConnectionRefusedError, ("ConnectionRefused", "nothing listens there: check host and port")),
    (ConnectionError, ("ConnectionLost", "the server closed the connection")),
    (ff.HTTPUnauthorizedError, UNAUTHORIZED),
    (ff.HTTPForbiddenError, FORBIDDEN),
    (ff.HTTPNotFoundError, NOT_FOUND),
    (FileNotFoundError, ("NotFound", "there is no such file: check the path")),
    (ff.HTTPError, SERVER_ERROR),
    (ff.HTTPClientError, BAD_REQUEST),
    (PermissionError, ("Forbidden", "the file may not be read: check its permissions")),
    (IsADirectoryError, ("NotMedia", "it is a folder: name a file in it")),
    (ff.ProtocolNotFoundError, ("UnsupportedScheme", "this protocol is not supported")),
    (
        ff.DecoderNotFoundError,
        ("UnsupportedCodec", "there is no decoder for it: change the codec"),
    ),
    (ff.DemuxerNotFoundError, ("NotMedia", "the container format is not supported")),
    (ff.EOFError, ("NotMedia", "it ended before any picture or sound: check the source")),
    # EINVAL: a format that is not on the list of those that may be opened.
    (ff.ArgumentError, ("NotMedia", "it is no media of a supported container: check the URL")),
    (ff.InvalidDataError, ("NotMedia", "it is no media that can be decoded: check the URL")),
)


class SourceError(Exception):
    """A source cannot be opened or read on.

    Attributes:
        reason: CamelCase cause, as in ConnectionRefused; stable, for machines.
        message: One sentence for a person: what, where, remedy; without credentials.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def redact(url: str) -> str:
    """Return `url` without user info, query and fragment, where credentials live.

    >>> redact("https://me:secret@h.example:8443/live.m3u8?token=1")
    'https://h.example:8443/live.m3u8'
    """
    return re.sub(
        r"^([a-z0-9+.-]+://)[^/@?#]*@", r"\1", re.split(r"[?#]", url, maxsplit=1)[0], flags=re.I
    )


def stopped(url: str, *, opening: bool) -> SourceError:
    """What is raised where somebody asked to end."""
    verb = "was not opened" if opening else "stopped"
    return SourceError("Stopped", f"{redact(url)} {verb}: it was asked to stop")


def classify(error: BaseException, url: str, *, opening: bool) -> SourceError:
    """Turn what FFmpeg or a socket says into a reason and a sentence."""
    where = redact(url)
    verb = "cannot be opened" if opening else "stopped"
    for kind, (reason, remedy) in _REASONS:
        if isinstance(error, kind):
            return SourceError(reason, f"{where} {verb}: {remedy}")
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return SourceError("HostUnreachable", f"{where} {verb}: no route leads there: check host")
    said = error.strerror if isinstance(error, OSError | av.FFmpegError) else None
    return SourceError("ReadFailed", f"{where} {verb}: {said or type(error).__name__}")
