"""Decoded audio frames → float32 samples, full scale 1.0; neither resampled nor mixed."""

import av
import numpy as np

from streammonitor_worker.frames import SampleArray

_SCALE = {"u1": 1 / 128, "i2": 1 / 2**15, "i4": 1 / 2**31}


def samples_of(frame: av.AudioFrame) -> SampleArray:
    """Return the samples, shape (channels, n), read-only."""
    raw = frame.to_ndarray()
    if frame.format.is_packed:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    scale = _SCALE.get(raw.dtype.str[1:])
    samples = raw.astype(np.float32)
    if raw.dtype == np.uint8:
        samples -= 128
    if scale is not None:
        samples *= np.float32(scale)
    samples = np.ascontiguousarray(samples)
    samples.setflags(write=False)
    return samples
