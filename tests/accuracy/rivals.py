"""What ffmpeg's own filters say of a clip, run through PyAV."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
from av.filter import Graph

from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Rival
from tests.accuracy.filters import pulled
from tests.accuracy.score import Alarm


def rival_alarms(clip: Path, rivals: Sequence[Rival], kind: Kind) -> list[list[Alarm]]:
    """The alarms of each filter, in seconds from the first picture or sample."""
    if not rivals:
        return []
    starts: list[list[float]] = [[] for _ in rivals]
    ends: list[list[float]] = [[] for _ in rivals]
    first_s, last_s = math.nan, 0.0
    for time_s, metadata in _filtered(clip, [rival.filter for rival in rivals], kind):
        first_s = time_s if math.isnan(first_s) else first_s
        last_s = time_s
        for number, rival in enumerate(rivals):
            if rival.start_key in metadata:
                starts[number].append(float(metadata[rival.start_key]) - first_s)
            if rival.end_key in metadata:
                ends[number].append(float(metadata[rival.end_key]) - first_s)
    length_s = last_s - first_s
    return [
        [
            alarm
            for alarm in _paired(begun, ended, length_s)
            if alarm.end_s - alarm.start_s >= rival.shortest_s
        ]
        for rival, begun, ended in zip(rivals, starts, ends, strict=True)
    ]


def _paired(starts: list[float], ends: list[float], length_s: float) -> list[Alarm]:
    """Starts with their ends; what has none lasted to the end of the clip."""
    ends = ends + [max([length_s, *starts])] * (len(starts) - len(ends))
    return [Alarm(start_s, end_s) for start_s, end_s in zip(starts, ends, strict=True)]


def _filtered(
    clip: Path, filters: Sequence[str], kind: Kind
) -> Iterator[tuple[float, dict[str, str]]]:
    with av.open(str(clip)) as container:
        graph = Graph()
        if kind is Kind.VIDEO:
            video = container.streams.video[0]
            video.codec_context.thread_count = 1
            nodes = [graph.add_buffer(template=video)]
        else:
            nodes = [graph.add_abuffer(template=container.streams.audio[0])]
        for text in filters:
            name, _, arguments = text.partition("=")
            nodes.append(graph.add(name, arguments))
        nodes.append(graph.add("buffersink" if kind is Kind.VIDEO else "abuffersink"))
        graph.link_nodes(*nodes).configure()
        frames: Iterator[av.VideoFrame | av.AudioFrame] = (
            container.decode(video=0) if kind is Kind.VIDEO else container.decode(audio=0)
        )
        for frame in _ended(frames):
            graph.push(frame)
            for one in pulled(graph):
                yield one.time or 0.0, dict(one.metadata)


def _ended(
    frames: Iterator[av.VideoFrame | av.AudioFrame],
) -> Iterator[av.VideoFrame | av.AudioFrame | None]:
    yield from frames
    yield None
