"""What comes of an opened container: decoded frames, and facts about its packets."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from streammonitor_worker.facts import Fact
from streammonitor_worker.ingest.container import Way
from streammonitor_worker.ingest.elementary import coded_unit, key_id_of
from streammonitor_worker.ingest.encryption.keys import ContentKeys
from streammonitor_worker.ingest.errors import SourceError, classify, redact
from streammonitor_worker.ingest.interrupt import interruptible
from streammonitor_worker.ingest.losses import Blocks, Losses, losses_of
from streammonitor_worker.ingest.notes import Notes
from streammonitor_worker.ingest.selection import Selection
from streammonitor_worker.ingest.stop import Stop
from streammonitor_worker.mpegts.scte35 import Cue, cues

HOPELESS_ERRORS = 200
"""Packets that fail to decode, and are not made up for, before the source is given up."""
CHANGED_ERRORS = 50
"""So many of one stream, before a live source is opened anew: its codec may have changed."""
MADE_UP = 5
"""So many errors are forgotten for a frame; a decoder of another codec finds one now and then."""
CORRUPT_PACKETS = 64
"""Damaged packets whose pictures are waited for at most; a decoder holds fewer back."""

Frame = av.VideoFrame | av.AudioFrame


@dataclass(slots=True)
class Counters:
    """What a source had to cope with.

    Attributes:
        decode_errors: Packets that the decoder refused.
        corrupt_packets: Packets that the demuxer flagged as damaged.
    """

    decode_errors: int = 0
    corrupt_packets: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame.

    Attributes:
        frame: As FFmpeg gave it.
        corrupt: Whether a part of it is missing, or of what it refers to.
        lost: Which macroblocks never came; None where nothing says so.
    """

    frame: Frame
    corrupt: bool = False
    lost: Blocks | None = None


Found = tuple[Decoded | Fact | Cue, float]
"""What came, and the Unix time at which it had arrived."""


class Decoding:
    """Reads a container and decodes what was selected of it. Iterate once.

    Args:
        url: What was opened.
        container: Of which `selection` was made.
        way: How FFmpeg gets to its bytes.
        notes: What readers noticed; it is told in between.
        keys: Keys of encrypted media.
        finite: Whether the source has an end.
        stop: Ends it early, also while it waits for the network.

    Attributes:
        counters: Faults so far.
        reading: It reads, and may wait for what it reads; otherwise it is busy with what came.
    """

    def __init__(
        self,
        url: str,
        container: InputContainer,
        selection: Selection,
        way: Way,
        *,
        notes: Notes,
        keys: ContentKeys,
        finite: bool,
        stop: Stop,
    ) -> None:
        self._url = url
        self._container = container
        self._selection = selection
        self._way = way
        self._notes = notes
        self._keys = keys
        self._finite = finite
        self._stop = stop
        self._damage = _Damage(selection)
        self._refused: Counter[int | None] = Counter()
        self.counters = Counters()
        self.reading = False

    def __iter__(self) -> Iterator[Found]:
        """Yield what comes, in the order of packets.

        Raises:
            SourceError: Reading failed. The end of the source is the end of the iteration.
        """
        decoded = self._selection.decoded
        for packet in self._packets():
            arrived_at = time.time()
            yield from self._notes.take()
            yield from ((one, arrived_at) for one in self._told(packet))
            if packet.stream not in decoded:
                continue
            self.counters.corrupt_packets += packet.is_corrupt
            self._damage.take(packet)
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._refuse(packet.stream_index, error)
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame | av.AudioFrame):
                    self._accept(packet.stream_index)
                    yield self._damage.of(frame), arrived_at
        yield from self._notes.take()

    def _packets(self) -> "Iterator[Packet[Stream]]":
        packets = self._container.demux(self._selection.read)
        while not self._stop.is_set():
            try:
                with interruptible(self._way or self._stop):
                    self.reading = True
                    packet = next(packets, None)
            except (av.FFmpegError, OSError, SourceError) as error:
                if self._stop.is_set():
                    return
                raise self._cause(error) from None
            except IndexError:
                # The end, where PyAV trips over streams that came after the container was opened.
                packet = None
            finally:
                self.reading = False
            if packet is None:
                if self._way and self._way.failure:
                    raise self._way.failure
                return
            if packet.has_sidedata("encryption_info"):
                raise self._keys.lacking(self._url, key_id_of(packet))
            yield packet

    def _told(self, packet: "Packet[Stream]") -> Iterator[Fact | Cue]:
        if packet.stream in self._selection.splices:
            yield from cues(bytes(packet))
        elif packet.size:
            yield coded_unit(packet)

    def _refuse(self, index: int, error: av.FFmpegError) -> None:
        """Count a packet that the decoder refuses; of a file those of all streams together."""
        self.counters.decode_errors += 1
        key = None if self._finite else index
        self._refused[key] += 1
        if self._refused[key] >= (HOPELESS_ERRORS if self._finite else CHANGED_ERRORS):
            raise SourceError(
                "DecodeFailed",
                f"{redact(self._url)} cannot be decoded: {self._refused[key]} packets were "
                f"refused: check the encoder, unless its codec has just changed",
            ) from error

    def _accept(self, index: int) -> None:
        key = None if self._finite else index
        self._refused[key] = max(0, self._refused[key] - MADE_UP)

    def _cause(self, error: Exception) -> SourceError:
        if isinstance(error, SourceError):
            return error
        if self._keys and isinstance(error, PermissionError):
            # What FFmpeg says of an MP4 whose key is not among those that it was given.
            return self._keys.lacking(self._url)
        failure = self._way.failure if self._way else None
        return failure or classify(error, self._url, opening=False)


class _Damage:
    """Follows what is wrong with packets to the frames that come of them."""

    def __init__(self, selection: Selection) -> None:
        self._picture = selection.picture
        self._losses = self._losses_of_picture()
        self._corrupt_pts: deque[int | None] = deque(maxlen=CORRUPT_PACKETS)

    def take(self, packet: "Packet[Stream]") -> None:
        """A packet is about to be decoded."""
        if self._lacks_reference(packet) or packet.is_corrupt:
            # Not every decoder notices what the demuxer knows, and none says what is missing.
            self._corrupt_pts.append(packet.pts)

    def of(self, frame: Frame) -> Decoded:
        """A frame, and what is known to be wrong with it."""
        if not isinstance(frame, av.VideoFrame):
            return Decoded(frame, corrupt=frame.is_corrupt)
        lost = self._losses.of(frame.pts) if self._losses else None
        corrupt = frame.is_corrupt or self._damaged_on_its_way(frame)
        return Decoded(frame, corrupt, lost if corrupt else None)

    def _losses_of_picture(self) -> Losses | None:
        if self._picture is None:
            return None
        context = self._picture.codec_context
        return losses_of(context.name, context.extradata, (context.width, context.height))

    def _lacks_reference(self, packet: "Packet[Stream]") -> bool:
        if self._losses is None or packet.stream is not self._picture or not packet.size:
            return False
        return self._losses.take(bytes(packet), packet.pts)

    def _damaged_on_its_way(self, frame: av.VideoFrame) -> bool:
        if not self._corrupt_pts or frame.pts is None or frame.pts not in self._corrupt_pts:
            return False
        self._corrupt_pts.remove(frame.pts)
        return True
