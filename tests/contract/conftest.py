from collections.abc import Iterator
from pathlib import Path

import pytest

from streammonitor_api import names
from streammonitor_worker.detectors import registry
from streammonitor_worker.models import store
from tests.contract.defects import shown


@pytest.fixture(scope="session", autouse=True)
def provided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What detectors need from their users."""
    folder = tmp_path_factory.mktemp("provided")
    for name in registry:
        shown(name).prepare(folder)
    store.shared.use(folder, patient=True)
    yield
    store.shared.use(Path(names.MODELS_FOLDER))
