"""Keeps the Services of streams that are sent to a worker: one each, leading to who holds it."""

from collections.abc import Iterable

from streammonitor_api.push import PushService, sender_url
from streammonitor_api.status import SenderAddress
from streammonitor_operator.children import StreamService, WorkerPod
from streammonitor_operator.kube import PODS, SERVICES, Manifest, Rejected
from streammonitor_operator.naming import service_name
from streammonitor_operator.specs.service import LABEL_LED, build_service
from streammonitor_operator.steps.concurrently import each
from streammonitor_operator.steps.deploy import covers
from streammonitor_operator.work import Work

FIRST_PORT = 20_000
"""Workers listen from here on: below the ports that kernels give to outgoing connections, and none
that a worker may not listen on or serves itself. Streams may have the same port in their URLs."""
_NOT_READY_S = 0.5


async def expose(work: Work) -> float | None:
    """Give every such stream its Service, have it lead to its worker, and note the ports."""
    spec = work.monitor.spec
    if spec is None:
        return None
    services = work.services()
    owner = work.monitor.owner
    named = {stream: service_name(owner.name, stream) for stream in work.pushed}
    known = {stream: services[name] for stream, name in named.items() if name in services}
    gone = [one for name, one in services.items() if name not in named.values()]
    await each(work, gone, lambda _: "", lambda one: _delete(work, one))
    if not work.pushed:
        return None
    work.ports = _ports(work.pushed, known)
    wanted = spec.service or PushService()
    wrong = []
    for name, push in work.pushed.items():
        service, port = known.get(name), work.ports[name]
        worker = _worker(work, service, name)
        manifest = build_service(owner, name, push, wanted, worker=worker, target_port=port)
        if worker and (service is None or not _is_right(service, manifest)):
            wrong.append((service, manifest))
    await each(work, wrong, lambda _: "", lambda one: _write(work, *one))
    await _sever(work)
    return _NOT_READY_S if _await_readiness(work) else None


def sender_addresses(work: Work) -> tuple[SenderAddress, ...]:
    """Where to send each such stream, in the order of their names."""
    spec, services, owner = work.monitor.spec, work.services(), work.monitor.owner
    urls = {one.name: one.url for one in spec.streams} if spec is not None else {}
    found = []
    for stream, push in sorted(work.pushed.items()):
        service = services.get(service_name(owner.name, stream))
        if service is None:
            continue
        host = f"{service.name}.{service.namespace}.svc"
        outside = service.balancer and sender_url(urls[stream], service.balancer, push.port)
        found.append(
            SenderAddress(
                name=stream,
                url=sender_url(urls[stream], host, push.port),
                external=outside or None,
                worker=service.worker,
            )
        )
    return tuple(found)


def _ports(pushed: Iterable[str], known: dict[str, StreamService]) -> dict[str, int]:
    """What workers listen on: as before, or the next that is free."""
    ports: dict[str, int] = {}
    taken = {known[name].target_port for name in pushed if name in known}
    free = (one for one in range(FIRST_PORT, FIRST_PORT + 10_000) if one not in taken)
    for name in pushed:
        before = known[name].target_port if name in known else 0
        usable = before >= FIRST_PORT and before not in ports.values()
        ports[name] = before if usable else next(free)
    return ports


def _worker(work: Work, known: StreamService | None, stream: str) -> str:
    """The worker to lead to; one that nobody may have stays where it was."""
    return work.handover.addresses.get(stream) or (known.worker if known else "")


def _is_right(known: StreamService, wanted: Manifest) -> bool:
    kept = ("labels", "annotations", "ownerReferences")
    metadata = {key: wanted["metadata"][key] for key in kept}
    return covers(known.manifest, {"metadata": metadata, "spec": wanted["spec"]})


async def _write(work: Work, known: StreamService | None, wanted: Manifest) -> None:
    kube, services = work.world.kube, work.world.services
    if known is not None:
        services.put(await kube.apply(SERVICES, wanted), quiet=True)
        return
    try:
        services.put(await kube.create(SERVICES, wanted), quiet=True)
    except Rejected as error:
        if not error.conflict:
            raise
        await _adopt(work, wanted)


async def _adopt(work: Work, wanted: Manifest) -> None:
    """Take back what is ours and lost its labels; what is another's stays another's."""
    kube, owner, metadata = work.world.kube, work.monitor.owner, wanted["metadata"]
    live = await kube.get(SERVICES, metadata["namespace"], metadata["name"])
    owners = live["metadata"].get("ownerReferences") or []
    if any(one["uid"] == owner.uid for one in owners):
        work.world.services.put(await kube.apply(SERVICES, wanted), quiet=True)
        return
    if any(one["name"] == owner.name and one["kind"] == "StreamMonitor" for one in owners):
        raise Rejected(409, "Conflict", f"Service {metadata['name']} of its predecessor is going")
    raise Rejected(
        422,
        "NameTaken",
        f"Service {metadata['name']} exists and does not belong to this StreamMonitor, so the "
        f"sender of the stream has no address: rename the stream, or remove that Service",
    )


async def _delete(work: Work, service: StreamService) -> None:
    try:
        await work.world.kube.delete(SERVICES, service.namespace, service.name, service.uid)
    except Rejected as error:
        if not error.missing and not error.conflict:
            raise
    work.world.services.drop(service.namespace, service.name, service.version)


async def _sever(work: Work) -> None:
    """Take pods on their way out off the Services, now that others listen in their place."""
    severed = work.memory.severed
    severed &= {pod.pod.uid for view in work.workers.values() for pod in view.pods}
    due = [one for one in work.handover.severed if one.uid not in severed]

    async def one(pod: WorkerPod) -> None:
        try:
            patch: Manifest = {"metadata": {"labels": {LABEL_LED: None}}}
            await work.world.kube.patch(PODS, pod.namespace, pod.name, patch)
        except Rejected as error:
            if not error.missing:
                raise
        severed.add(pod.uid)

    await each(work, due, lambda pod: pod.worker, one)


def _await_readiness(work: Work) -> bool:
    """Whether a worker listens whose pod Services do not lead to yet: nobody tells when they do."""
    return any(
        view.ready and view.current is not None and not view.current.pod.ready
        for _, view in work.planned()
        if not work.share(view.name).warms.isdisjoint(work.pushed)
    )
