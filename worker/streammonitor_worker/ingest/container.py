"""From a URL to a container that FFmpeg has opened, and the way by which it gets there."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

import av
from av.container import InputContainer

from streammonitor_api.source import Program, Variant
from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.encryption.keys import ContentKeys
from streammonitor_worker.ingest.errors import SourceError, classify, redact, stopped
from streammonitor_worker.ingest.interrupt import interruptible
from streammonitor_worker.ingest.manifests.freshness import Freshness
from streammonitor_worker.ingest.opening import Opening
from streammonitor_worker.ingest.options import Plan, plan
from streammonitor_worker.ingest.readers.file import holds_transport_stream
from streammonitor_worker.ingest.readers.http import MAX_REDIRECTS
from streammonitor_worker.ingest.readers.program import no_programs
from streammonitor_worker.ingest.relay import DatagramsOnly, Redirected, Relay
from streammonitor_worker.ingest.signing import Bucket
from streammonitor_worker.ingest.stop import Stop

Way = Opening | Relay | None
"""How FFmpeg gets to the bytes; None: by itself, to a file."""


class Opened(NamedTuple):
    """What was opened. Close the container first, then the way."""

    container: InputContainer
    planned: Plan
    way: Way


def open_container(
    url: str,
    headers: Mapping[str, str],
    access: Access,
    stop: Stop,
    *,
    variant: Variant | None,
    program: Program | None,
    keys: ContentKeys,
    bucket: Bucket | None = None,
    watch: bool = False,
    freshness: Freshness | None = None,
) -> Opened:
    """Open a URL or path; see `open_source`.

    Raises:
        SourceError: It must not or cannot be opened, or is no media.
    """
    place, by_datagrams = url, False
    for _ in range(MAX_REDIRECTS + 1):
        planned = plan(place, headers, keys)
        access.check(place)
        if stop.is_set():
            raise stopped(url, opening=True)
        try:
            with ExitStack() as stack:
                way: Way = None
                if planned.read_here or _is_transport_file(planned):
                    way = Opening(
                        place,
                        headers,
                        access,
                        stop,
                        variant=variant,
                        program=program,
                        keys=keys,
                        bucket=bucket,
                        watch=watch,
                        freshness=freshness,
                    )
                elif program is not None:
                    raise no_programs(place)
                elif planned.relayed:
                    way = Relay(place, access, stop, by_datagrams=by_datagrams)
                if way:
                    stack.callback(way.close)
                container = _container(place, planned, way, stop)
                if isinstance(way, Relay):
                    way.playing()
                stack.pop_all()
                return Opened(container, planned, way)
        except Redirected as elsewhere:
            place, by_datagrams = elsewhere.url, False
        except DatagramsOnly:
            by_datagrams = True
    raise SourceError(
        "TooManyRedirects",
        f"{redact(url)} cannot be opened: it redirects more than {MAX_REDIRECTS} times: check the "
        f"server",
    )


def _is_transport_file(planned: Plan) -> bool:
    """Whether it is a file that may hold several programs, and whose bytes can be watched."""
    return planned.scheme == "file" and holds_transport_stream(planned.target.removeprefix("file:"))


def _container(url: str, planned: Plan, way: Way, stop: Stop) -> InputContainer:
    opening = way if isinstance(way, Opening) else None
    relay = way if isinstance(way, Relay) else None
    try:
        with interruptible(way or stop):
            return av.open(
                relay.target if relay else planned.target,
                mode="r",
                format=opening.format if opening else None,
                options=planned.options | (relay.options if relay else {}),
                timeout=planned.timeout,
                io_open=opening,
            )
    except (av.FFmpegError, OSError, ValueError, SourceError) as error:
        if stop.is_set():
            raise stopped(url, opening=True) from None
        if isinstance(error, SourceError):
            raise
        failure = way.failure if way else None
        if opening and not failure and opening.ended():
            failure = SourceError(
                "Ended", f"{redact(url)} ended before any picture or sound: check the source"
            )
        raise (failure or classify(error, url, opening=True)) from None
