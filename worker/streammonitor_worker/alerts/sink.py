"""What a sink is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from streammonitor_api.alerts import Group
from streammonitor_api.incident import Incident
from streammonitor_worker.alerts.events import AlertEvent
from streammonitor_worker.ingest import Access, Stop

Settings = TypeVar("Settings")


class NotDelivered(Exception):
    """A sink did not take what it was sent.

    Attributes:
        reason: CamelCase cause, as in ConnectionRefused.
        message: One sentence for a person: what, where, remedy. Never a credential.
        final: Whether it would refuse the same again, however often it is asked.
    """

    def __init__(self, reason: str, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.final = final


@dataclass(frozen=True, slots=True)
class Around:
    """What a sink finds around it.

    Attributes:
        monitor: namespace/name of the StreamMonitor; the name alone outside a cluster.
        worker: Name of the worker.
        secrets_folder: Secret S, key K is the file S/K in it.
        access: Where sinks may lead.
        stop: Ends every wait.
    """

    monitor: str
    worker: str
    secrets_folder: Path
    access: Access
    stop: Stop = field(default_factory=Stop)


@dataclass(frozen=True, slots=True)
class Pace:
    """How events become messages.

    Attributes:
        wait_s: How long a first event waits for company.
        window_s: The least time between two messages.
        most: The most events in a message.
    """

    wait_s: float = 0.0
    window_s: float = 0.0
    most: int = 1

    def asked(self, group: Group | None) -> "Pace":
        """The same with what the user chose."""
        if group is None:
            return self
        wait_s = self.wait_s if group.wait is None else group.wait
        window_s = self.window_s if group.window is None else group.window
        return Pace(wait_s, window_s, self.most)


class Sink(ABC, Generic[Settings]):
    """Somebody who is told. All methods are called from one thread, which may block.

    Attributes:
        kind: The field of the API's `Sink` that asks for it.
        pace: How events become messages.
        lanes: How many messages may be under way at once, each of another stream; with more than
            one, `send` is called from as many threads, with one event each.
        remind_s: How often `remind` is called; None: never.
    """

    kind: ClassVar[str]
    pace: Pace = Pace()
    lanes: int = 1
    remind_s: float | None = None

    def __init__(self, settings: Settings, around: Around) -> None:
        self.settings = settings
        self.around = around

    def tells(self, event: AlertEvent) -> bool:
        """Whether an event that its filters let through is news for this sink."""
        return True

    @abstractmethod
    def send(self, events: Sequence[AlertEvent]) -> None:
        """Tell of events, in their order, in one message.

        Raises:
            NotDelivered: They were not taken; all of them are sent again.
        """

    def remind(self, lasting: Sequence[Incident]) -> None:
        """Tell what lasts, for a sink that would take it as ended otherwise.

        Raises:
            NotDelivered: It was not taken.
        """

    def close(self) -> None:
        """Give connections up."""
