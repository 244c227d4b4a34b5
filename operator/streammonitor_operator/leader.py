"""Leader election by a Lease, with a watchdog of its own.

At most one process may write. A leader whose renewal is not confirmed in time ends its process:
nothing of it can then still be on the way. The Lease alone does not fence a process that was
stopped and continued, so every write is also guarded (`guard`), and writes of assignments carry
the resource version that was read.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from streammonitor_operator.kube import LEASES, Kube, KubeError, Manifest, NotLeader, Rejected
from streammonitor_operator.settings import LeaseSettings

log = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """The Lease was not renewed in time, or someone else holds it."""


class Leader:
    """One candidate.

    Use: `acquire`, then `hold` until it raises or is cancelled, then `release`.
    """

    def __init__(
        self,
        kube: Kube,
        settings: LeaseSettings,
        *,
        namespace: str,
        identity: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._settings = settings
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._lease: Manifest | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._confirmed_at: float | None = None

    @property
    def leading(self) -> bool:
        """Whether the Lease is ours, as far as this process can know by itself."""
        return self._confirmed_at is not None and self.remaining_s > 0

    @property
    def released(self) -> bool:
        """Whether the Lease is not ours: not yet, or given back."""
        return self._confirmed_at is None

    @property
    def remaining_s(self) -> float:
        """Until the process must end unless a renewal is confirmed."""
        if self._confirmed_at is None:
            return 0.0
        return self._confirmed_at + self._settings.renew_deadline_s - self._clock()

    def guard(self) -> None:
        """Refuse a write that this process may not make any more.

        Raises:
            NotLeader: no renewal was confirmed in time.
        """
        if not self.leading:
            raise NotLeader("the Lease was not renewed in time: this process may not write")

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while True:
            try:
                async with asyncio.timeout(self._request_timeout_s):
                    if await self._try_acquire():
                        log.info("Leading: %s holds the Lease.", self._identity)
                        return
            except (KubeError, TimeoutError) as error:
                log.warning("The Lease could not be read or taken: %r", error)
            await asyncio.sleep(self._settings.retry_s)

    async def hold(self) -> None:
        """Renew the Lease for as long as that works.

        Raises:
            LeadershipLost: the process must end, now.
        """
        while True:
            await asyncio.sleep(max(0.0, min(self._settings.retry_s, self.remaining_s)))
            limit_s = min(self.remaining_s, self._request_timeout_s)
            if limit_s <= 0:
                raise LeadershipLost(
                    f"no renewal was confirmed for {self._settings.renew_deadline_s:g} s"
                )
            try:
                async with asyncio.timeout(limit_s):
                    await self._renew()
            except (KubeError, TimeoutError) as error:
                log.warning("The Lease was not renewed: %r", error)

    async def release(self) -> None:
        """Give the Lease back, so that the next leader need not wait for it to expire."""
        lease, self._confirmed_at = self._lease, None
        if lease is None:
            return
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(self._request_timeout_s):
                await self._kube.replace(LEASES, {**lease, "spec": spec})
        except (KubeError, TimeoutError) as error:
            log.warning("The Lease was not released and will expire: %r", error)

    @property
    def _request_timeout_s(self) -> float:
        return self._settings.renew_deadline_s / 2

    async def _try_acquire(self) -> bool:
        started = self._clock()
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._settings.name)
        except Rejected as error:
            if not error.missing:
                raise
            self._lease = await self._kube.create(LEASES, self._new_lease())
            self._confirmed_at = started
            return True
        if self._held_by_other(lease):
            return False
        await self._write(lease, started)
        return True

    def _held_by_other(self, lease: Manifest) -> bool:
        """Judged by our own clock since the Lease last changed: clocks of nodes may differ."""
        spec = lease.get("spec") or {}
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        holder = spec.get("holderIdentity") or ""
        duration_s = float(spec.get("leaseDurationSeconds") or self._settings.duration_s)
        age_s = self._clock() - self._seen[1]
        return holder not in ("", self._identity) and age_s < duration_s

    async def _renew(self) -> None:
        started = self._clock()
        if self._lease is None:
            raise LeadershipLost("the Lease was never ours")
        try:
            await self._write(self._lease, started)
        except Rejected as error:
            if not error.conflict and not error.missing:
                raise
            await self._reclaim(started)

    async def _reclaim(self, started: float) -> None:
        """Our copy is outdated: either our own write's answer was lost, or another took over."""
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._settings.name)
        except Rejected as error:
            if error.missing:
                raise LeadershipLost("the Lease was deleted") from error
            raise
        holder = (lease.get("spec") or {}).get("holderIdentity")
        if holder != self._identity:
            raise LeadershipLost(f"the Lease is held by {holder!r}")
        await self._write(lease, started)

    async def _write(self, lease: Manifest, started: float) -> None:
        """Confirmed as of the moment before the request: the answer may have taken long."""
        old = lease.get("spec") or {}
        changed = old.get("holderIdentity") != self._identity
        spec = self._spec()
        spec["acquireTime"] = spec["renewTime"] if changed else old.get("acquireTime")
        spec["leaseTransitions"] = int(old.get("leaseTransitions") or 0) + changed
        self._lease = await self._kube.replace(LEASES, {**lease, "spec": spec})
        self._confirmed_at = started

    def _new_lease(self) -> Manifest:
        spec = self._spec()
        spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": 0}
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self._settings.name, "namespace": self._namespace},
            "spec": spec,
        }

    def _spec(self) -> Manifest:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._settings.duration_s),
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
