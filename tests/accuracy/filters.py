"""ffmpeg's filters on generated pictures and sound, through PyAV and without a codec."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from dev.origin.origin import SAMPLE_RATE, Floats


def metadata_of_sound(
    samples: Floats, layout: str, name: str, arguments: str = ""
) -> list[dict[str, str]]:
    """The metadata of every frame that an audio filter puts out.

    Args:
        samples: Shape (channels, n), at SAMPLE_RATE.
        layout: FFmpeg's name of the layout of so many channels.
        name: The filter.
        arguments: Its arguments.
    """
    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="fltp", layout=layout, time_base=Fraction(1, SAMPLE_RATE)
    )
    graph.link_nodes(source, graph.add(name, arguments), graph.add("abuffersink")).configure()
    found: list[dict[str, str]] = []
    hop = SAMPLE_RATE // 10
    for first in range(0, samples.shape[1], hop):
        piece = np.ascontiguousarray(samples[:, first : first + hop])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = (
            *(SAMPLE_RATE, first),
            Fraction(1, SAMPLE_RATE),
        )
        graph.push(frame)
        found += [dict(one.metadata) for one in pulled(graph)]
    graph.push(None)
    return [*found, *(dict(one.metadata) for one in pulled(graph))]


def frames_of_source(source: str, arguments: str, *filters: tuple[str, str]) -> list[av.VideoFrame]:
    """Every picture of a video source of ffmpeg after some filters."""
    graph = Graph()
    nodes = [graph.add(source, arguments), *(graph.add(*one) for one in filters)]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return [frame for frame in pulled(graph) if isinstance(frame, av.VideoFrame)]


def pulled(graph: Graph) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """What can be had from a graph for now."""
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
