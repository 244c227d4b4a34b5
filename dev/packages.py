"""Has the Debian packages that the tests' foreign servers come from; installs what is missing."""

import sys

from dev.host import Failure, apt_install, run, say, timed
from dev.media.servers import DEBIAN_PACKAGES


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
    """Install what is missing."""
    try:
        wanted = missing()
        if wanted:
            with timed(f"Installing Debian packages for the tests: {' '.join(wanted)}"):
                apt_install(wanted)
    except Failure as failure:
        say(f"The tests' servers come from Debian packages: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
