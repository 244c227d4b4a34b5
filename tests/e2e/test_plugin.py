"""kubectl's plugin on the real cluster: a worker is drained, and what it says is what is there."""

from dev.kube import eventually
from tests.e2e.monitor import Monitor, channel
from tests.terminal import Terminal


def test_a_drained_worker_is_followed_by_another(monitor: Monitor, terminal: Terminal) -> None:
    monitor.apply(streams=[channel(0)])
    monitor.wait("Ready")
    (before,) = (one["worker"] for one in terminal.json("streams", monitor.name))

    terminal("drain", before)

    def held() -> set[str]:
        return {one["worker"] for one in terminal.json("streams", monitor.name)}

    def workers() -> set[str]:
        return {one["metadata"]["name"] for one in monitor.objects("deployments")}

    eventually("another worker", lambda: held() and before not in held(), timeout_s=90)
    eventually("the drained worker is gone", lambda: before not in workers(), timeout_s=60)
    monitor.wait("Ready")
    assert held() == workers()
    assert terminal.json("status", monitor.name)["ready"] == "True"
