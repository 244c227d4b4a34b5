"""Has the tests' foreign servers and browser: installs and builds what is missing."""

import sys

from dev import alerting, browser, prometheus
from dev.cluster.binaries import VERSITYGW, build_alone
from dev.host import apt_install, exit_code, run, timed
from dev.media import muxers, servers

DEBIAN_PACKAGES = (
    *servers.DEBIAN_PACKAGES,
    *muxers.VLC_PACKAGES,
    *browser.DEBIAN_PACKAGES,
    *alerting.DEBIAN_PACKAGES,
    *prometheus.DEBIAN_PACKAGES,
)


def missing() -> list[str]:
    """The packages that are not installed."""
    said = run(
        [
            "dpkg-query",
            "--show",
            "--showformat=${Package} ${db:Status-Status}\\n",
            *DEBIAN_PACKAGES,
        ],
        check=False,
    )
    installed = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
    return [package for package in DEBIAN_PACKAGES if package not in installed]


def main() -> int:
    """Run the command line."""
    return exit_code(install_missing, prefix="The tests' servers and browser: ")


def install_missing() -> None:
    """Install or build what is missing.

    Raises:
        Failure: it cannot be had.
    """
    wanted = missing()
    if wanted:
        with timed(f"Installing Debian packages for the tests: {' '.join(wanted)}"):
            apt_install(wanted)
    build_alone(VERSITYGW)


if __name__ == "__main__":
    sys.exit(main())
