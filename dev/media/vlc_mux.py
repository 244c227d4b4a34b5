"""Put a file into a transport stream by VLC's multiplexer, without decoding it.

Usage: vlc_mux.py FROM TO. A process of its own, by the library: the command refuses to run as root.
"""

import ctypes
import sys
import time

LIBRARY = "libvlc.so.5"
_DEADLINE_S = 60
# libvlc_state_t.
_ENDED, _ERROR = 6, 7


def main(source: str, target: str) -> None:
    """Write the whole file."""
    vlc = ctypes.CDLL(LIBRARY)
    for name in ("new", "media_new_path", "media_player_new_from_media"):
        getattr(vlc, f"libvlc_{name}").restype = ctypes.c_void_p
    options = (ctypes.c_char_p * 2)(b"--quiet", b"--ignore-config")
    instance = ctypes.c_void_p(vlc.libvlc_new(len(options), options))
    media = ctypes.c_void_p(vlc.libvlc_media_new_path(instance, source.encode()))
    for option in (f":sout=#std{{access=file,mux=ts,dst={target}}}", ":sout-all"):
        vlc.libvlc_media_add_option(media, option.encode())
    player = ctypes.c_void_p(vlc.libvlc_media_player_new_from_media(media))
    vlc.libvlc_media_player_play(player)
    deadline = time.monotonic() + _DEADLINE_S
    while (state := vlc.libvlc_media_player_get_state(player)) not in (_ENDED, _ERROR):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    vlc.libvlc_media_player_stop(player)
    if state != _ENDED:
        sys.exit(f"VLC did not write {target}: state {state}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
