"""Which of the renditions that a source offers is monitored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from streammonitor_api.source import Variant
from streammonitor_worker.ingest.errors import SourceError, redact


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One version of a source's picture or sound.

    Attributes:
        bandwidth: Bits per second, as the manifest says.
        height: Lines of the picture; 0 if the manifest does not say, or for sound.
        language: Of sound, as in `en`; empty if the manifest does not say.
        name: Of sound, for people.
        default: Whether the manifest prefers it.
    """

    bandwidth: int = 0
    height: int = 0
    language: str = ""
    name: str = ""
    default: bool = False


R = TypeVar("R", bound=Rendition)


def choose_picture(offered: Sequence[R], wanted: Variant, url: str) -> R:
    """The picture that is asked for; the best there is if nothing is.

    Raises:
        SourceError: VariantMissing: nothing fits; the sentence says what there is.
    """
    fitting = list(offered)
    if wanted.height is not None:
        fitting = [one for one in fitting if one.height == wanted.height]
    if wanted.max_bandwidth is not None:
        fitting = [one for one in fitting if one.bandwidth <= wanted.max_bandwidth]
    if not fitting:
        asked = [f"height {wanted.height}"] if wanted.height is not None else []
        asked += (
            [f"at most {wanted.max_bandwidth} bit/s"] if wanted.max_bandwidth is not None else []
        )
        there = sorted({f"{one.height} lines at {one.bandwidth} bit/s" for one in offered})
        raise _missing(url, "picture", " and ".join(asked), there)
    best: Callable[..., R] = min if wanted.video == "lowest" else max
    return best(fitting, key=lambda one: (one.height, one.bandwidth))


def choose_sound(offered: Sequence[R], wanted: Variant, url: str) -> R | None:
    """The sound that is asked for; the one that the manifest prefers if none is.

    Returns:
        None if sound does not come by itself.

    Raises:
        SourceError: VariantMissing: nothing fits; the sentence says what there is.
    """
    if not offered:
        return None
    fitting = list(offered)
    if wanted.audio_language is not None:
        asked = f"language {wanted.audio_language}"
        fitting = [one for one in fitting if _speaks(one.language, wanted.audio_language)]
    if wanted.audio_name is not None:
        asked = f"name {wanted.audio_name!r}"
        fitting = [one for one in fitting if one.name == wanted.audio_name]
    if not fitting:
        there = sorted({f"{one.language or 'no language'} ({one.name})" for one in offered})
        raise _missing(url, "sound", asked, there)
    return max(fitting, key=lambda one: (one.default, one.bandwidth))


def _speaks(language: str, wanted: str) -> bool:
    """Whether a language tag is the wanted one or a region's form of it (RFC 4647, 3.3.1)."""
    language, wanted = language.lower(), wanted.lower()
    return language == wanted or language.startswith(f"{wanted}-")


def _missing(url: str, what: str, asked: str, there: Sequence[str]) -> SourceError:
    return SourceError(
        "VariantMissing",
        f"{redact(url)} has no {what} of {asked}: choose one of {', '.join(there)}",
    )
