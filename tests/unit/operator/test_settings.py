import pytest

from streammonitor_operator.settings import LeaseSettings, SettingsError, read_settings

IMAGE = {"WORKER_IMAGE": "registry.example/worker:1"}


def test_the_image_is_all_that_must_be_set() -> None:
    settings = read_settings(IMAGE)
    assert settings.worker.image == IMAGE["WORKER_IMAGE"]
    assert settings.namespaces == ()
    assert settings.lease == LeaseSettings()
    assert settings.identity


def test_everything_can_be_set() -> None:
    settings = read_settings(
        IMAGE
        | {
            "WATCH_NAMESPACES": "b, a,b",
            "WORKER_IMAGE_PULL_SECRETS": "x",
            "POD_NAME": "me",
            "POD_NAMESPACE": "ns",
            "HTTP_PORT": "9000",
            "LEASE_DURATION": "30s",
            "DISCOVERY_ALLOWED_HOSTS": "lists.example:8443,*.video.example",
            "WORKER_CPU_REQUEST": "1",
        }
    )
    assert settings.namespaces == ("a", "b")
    assert settings.worker.pull_secrets == ("x",)
    assert (settings.identity, settings.namespace, settings.http_port) == ("me", "ns", 9000)
    assert settings.lease.duration_s == 30
    assert settings.discovery_hosts == ("*.video.example", "lists.example:8443")
    assert settings.worker.cpu_request == "1"


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "WORKER_IMAGE is not set"),
        (IMAGE | {"DISCOVERY_ALLOWED_HOSTS": "https://a/"}, "DISCOVERY_ALLOWED_HOSTS names 'https"),
        (IMAGE | {"HTTP_PORT": "http"}, "HTTP_PORT is 'http'"),
        (IMAGE | {"WALL_PORT": "70000"}, "WALL_PORT is '70000'"),
        (IMAGE | {"LEASE_DURATION": "15"}, "LEASE_DURATION: '15' is no duration"),
        (IMAGE | {"LEASE_DURATION": "5s"}, "LEASE_RENEW_DEADLINE, and that shorter"),
    ],
)
def test_a_wrong_value_is_named(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_settings(environ)
