"""What workers keep of a stream's past: a score for every minute, and the incidents that ended."""

from collections import defaultdict
from collections.abc import Iterable

from pydantic import ValidationError

from streammonitor_api.results import KeptResults, Minute, merged
from streammonitor_operator.wall.tiles import Document, brief

MAX_INCIDENTS = 500


def past(answers: Iterable[Document]) -> Document:
    """Put together what several workers answered; what cannot be read is left out.

    Returns:
        `minutes`: Unix time in seconds, and the score (0..100) of the group in which it is worst;
        null where nobody watched. `incidents`, oldest first.
    """
    kept = [one for answer in answers if (one := _read(answer)) is not None]
    groups: defaultdict[tuple[int, str], list[Minute]] = defaultdict(list)
    for one in kept:
        for minute in one.minutes:
            groups[int(minute.minute.timestamp()), minute.group].append(minute)
    scores: dict[int, float | None] = {}
    for (at_s, _), parts in groups.items():
        score = merged(parts).score if len(parts) > 1 else parts[0].score
        before = scores.get(at_s)
        scores[at_s] = score if before is None else min(before, 100.0 if score is None else score)
    incidents = {incident.id: brief(incident) for one in kept for incident in one.incidents}
    found = sorted(incidents.values(), key=lambda one: str(one["startedAt"]))
    return {"minutes": sorted(scores.items()), "incidents": found[-MAX_INCIDENTS:]}


def _read(answer: Document) -> KeptResults | None:
    try:
        return KeptResults.model_validate(answer)
    except ValidationError:
        return None
