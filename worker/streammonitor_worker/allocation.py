"""Memory that was freed goes back to the system where a stream was lost.

The buffers of connections and decoders that are gone lie between small things that stay, where
glibc keeps them for later: a process would grow by a seventh while its streams are lost and opened
again 200 times. That they are kept while a stream plays is right: what is measured of pictures
needs them again at once.
"""

import ctypes
from functools import cache


def give_back() -> None:
    """Give back what no page of is used (malloc_trim(3)); it takes milliseconds."""
    _trim()(0)


@cache
def _trim() -> "ctypes._NamedFuncPointer | type[int]":
    # Other C libraries have no such function, nor the need.
    return getattr(ctypes.CDLL(None), "malloc_trim", int)
