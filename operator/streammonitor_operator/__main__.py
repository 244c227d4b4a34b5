"""The entry point of `streammonitor-operator`."""

import asyncio
import logging
import sys

from kubernetes.aio.config import ConfigException

from streammonitor_operator.app import run
from streammonitor_operator.http import PortTaken
from streammonitor_operator.settings import SettingsError, read_settings

EXIT_USAGE = 2


def main() -> None:
    """Run the operator until it is told to stop."""
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.exit(_complain(str(error)))
    logging.basicConfig(
        level=settings.log_level,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Kopf tells of every event that it passes on.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        asyncio.run(run(settings))
    except PortTaken as error:
        sys.exit(_complain(str(error)))
    except ConfigException as error:
        sys.exit(_complain(f"no way to reach a cluster: {error}"))


def _complain(sentence: str) -> int:
    sys.stderr.write(f"streammonitor-operator: {sentence}\n")
    return EXIT_USAGE


if __name__ == "__main__":
    main()
