"""A request to end that also wakes what blocks in a socket."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Action = Callable[[], None]


class Stop(threading.Event):
    """An event; what waits somewhere else is woken by the actions that it registered.

    Actions run in the thread that calls `set`, each at most once, and must neither block nor raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self._actions: set[Action] = set()
        self._guard = threading.Lock()

    def set(self) -> None:
        """Ask to end, and wake what waits."""
        super().set()
        with self._guard:
            actions, self._actions = self._actions, set()
        for action in actions:
            action()

    @contextmanager
    def waking(self, action: Action) -> Iterator[None]:
        """Within this, `set` runs `action`; at once if it was set before."""
        with self._guard:
            self._actions.add(action)
        try:
            if self.is_set():
                self.set()
            yield
        finally:
            with self._guard:
                self._actions.discard(action)
