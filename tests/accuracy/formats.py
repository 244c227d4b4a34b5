"""What a canvas becomes before it is encoded: other bit depths, ranges, transfers, and fields.

A canvas has 8 bits, limited range and the gamma of BT.709. High dynamic range shows the same
pictures as a display would, with white at 203 cd/m2 (ITU-R BT.2408), so that black stays black.
"""

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from dev.origin.origin import Canvas

FORMATS = ("8-bit", "10-bit", "full range", "PQ", "HLG", "interlaced")
WHITE_NITS = 203.0
GAMMA = 2.4  # of a display for BT.709, ITU-R BT.1886
_JPEG_RANGE, _BT2020, _BT2020_NCL, _PQ, _HLG = 2, 9, 9, 16, 18
"""Code points of ITU-T H.273."""
_CHROMA_GAIN = 0.55  # HDR's transfers leave less room to what is below white


def pixel_format(form: str) -> str:
    """FFmpeg's name of the pixels of a format."""
    return "yuv420p10le" if form in ("10-bit", "PQ", "HLG") else "yuv420p"


def tag(context: av.VideoCodecContext, form: str) -> None:
    """Tell an encoder what its pictures are."""
    context.pix_fmt = pixel_format(form)
    if form == "full range":
        context.color_range = _JPEG_RANGE
    if form in ("PQ", "HLG"):
        context.color_primaries = _BT2020
        context.colorspace = _BT2020_NCL
        context.color_trc = _PQ if form == "PQ" else _HLG


class Former:
    """Turns canvases into frames of one format."""

    def __init__(self, form: str) -> None:
        if form not in FORMATS:
            raise ValueError(f"{form}: not one of {', '.join(FORMATS)}")
        self._form = form
        self._graph: Graph | None = None

    def frame(self, canvas: Canvas) -> av.VideoFrame:
        """Return the picture, without a timestamp."""
        if self._form == "interlaced":
            return self._as_fields(canvas.frame())
        if self._form == "8-bit":
            return canvas.frame()
        luma, chroma = _tables(self._form)
        height, width = canvas.y.shape
        frame = av.VideoFrame(width, height, pixel_format(self._form))
        if self._form == "full range":
            frame.color_range = _JPEG_RANGE
        for plane, codes, table in zip(
            frame.planes, (canvas.y, canvas.u, canvas.v), (luma, chroma, chroma), strict=True
        ):
            rows, columns = codes.shape
            lines = np.frombuffer(memoryview(plane), table.dtype).reshape(rows, -1)
            np.take(table, codes, out=lines[:, :columns])
        return frame

    def _as_fields(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Mark a frame as two fields, the top one first, which PyAV can do by a filter only."""
        if self._graph is None:
            graph = self._graph = Graph()
            source = graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=Fraction(1, 25),
            )
            mark = graph.add("setfield", "tff")
            graph.link_nodes(source, mark, graph.add("buffersink")).configure()
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        self._graph.push(frame)
        marked = self._graph.pull()
        if not isinstance(marked, av.VideoFrame):
            raise TypeError("setfield returned no picture")
        return marked


Table = NDArray[np.uint8] | NDArray[np.uint16]


@lru_cache
def _tables(form: str) -> tuple[Table, Table]:
    """The codes of luma and of chroma for the 256 codes of a canvas."""
    codes = np.arange(256.0)
    if form == "full range":
        luma = (codes - 16) * 255 / 219
        chroma = (codes - 128) * 255 / 224 + 128
        return _rounded(luma, 255).astype(np.uint8), _rounded(chroma, 255).astype(np.uint8)
    if form == "10-bit":
        return _rounded(codes * 4, 1023), _rounded(codes * 4, 1023)
    nits = WHITE_NITS * ((codes - 16).clip(0) / 219) ** GAMMA
    signal = _pq(nits) if form == "PQ" else _hlg(nits)
    return _rounded(64 + 876 * signal, 1023), _rounded((codes - 128) * 4 * _CHROMA_GAIN + 512, 1023)


def _rounded(codes: NDArray[np.float64], highest: int) -> NDArray[np.uint16]:
    return codes.round().clip(0, highest).astype(np.uint16)


def _pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse EOTF of SMPTE ST 2084."""
    y = (nits / 10_000) ** (2610 / 16384)
    signal: NDArray[np.float64] = ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (
        2523 / 32
    )
    return signal


def _hlg(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of HLG's OOTF and then its OETF, for a display of 1000 cd/m2 (ITU-R BT.2100)."""
    scene = (nits / 1000) ** (1 / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-6)) + 0.55991073
    signal: NDArray[np.float64] = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return signal
