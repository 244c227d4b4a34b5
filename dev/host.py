"""What every developer tool needs of this machine: folders, commands, packages, plain failures."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


class Failure(Exception):
    """Something that the person at the keyboard can put right; its text says how."""


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(text, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Where whatever is slow to make is kept between runs."""
    return _folder("STREAMMONITOR_CACHE", "XDG_CACHE_HOME", ".cache", "streammonitor")


def state_folder() -> Path:
    """Where the running cluster keeps everything that it owns."""
    return _folder("STREAMMONITOR_STATE", "XDG_STATE_HOME", ".local/state", "streammonitor/cluster")


def _folder(variable: str, base_variable: str, base_default: str, below: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get(base_variable)
    return (Path(base) if base else Path.home() / base_default).absolute() / below


def run(
    command: Iterable[object],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    check: bool = True,
    timeout: float = 120,
) -> str:
    """Run a command (its parts as text) to its end and return its standard output.

    Raises:
        Failure: it did not succeed and `check` is set; the text carries what it said.
    """
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(
            arguments,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            timeout=timeout,
            env={**os.environ, **environment} if environment else None,
        )
    except FileNotFoundError:
        raise Failure(f"{arguments[0]} is not installed.") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"`{' '.join(arguments)}` did not end within {timeout:g} s.") from None
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-4000:]
        raise Failure(f"`{' '.join(arguments)}` failed with code {done.returncode}:\n{said}")
    return done.stdout


def answers_ok(url: str) -> bool:
    """Whether a plain HTTP address answers with 200 right now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def write(path: Path, text: str) -> None:
    """Write a file in one step, and not at all if it says this already.

    kube-proxy, for one, ends when its configuration is written anew.
    """
    with suppress(FileNotFoundError):
        if path.read_text() == text:
            return
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)


def exit_code(action: Callable[[], object], *, prefix: str = "") -> int:
    """Carry out a command line's action; failures and interruptions are sentences, not tracebacks.

    Args:
        action: What to do.
        prefix: What a failure's sentence begins with.
    """
    try:
        action()
    except Failure as failure:
        say(f"{prefix}{failure}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted. The same command again goes on from here.")
        return 130
    return 0


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    say(f"{what} …")
    started = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - started:.1f} s")


def wait_for(
    what: str,
    ready: Callable[[], bool],
    *,
    timeout: float,
    pause: float = 0.1,
    evidence: Callable[[], str] = str,
) -> None:
    """Ask until the answer is yes.

    Raises:
        Failure: the answer stayed no; the text ends with the evidence.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not happen within {timeout:g} s.\n{evidence()}".rstrip())
        time.sleep(pause)


def require_linux_root() -> None:
    """Refuse early, in words, where nothing below can work.

    Raises:
        Failure: not Linux, or not root.
    """
    if sys.platform != "linux":
        raise Failure("This needs Linux: it runs containers directly on the machine's kernel.")
    if os.geteuid() != 0:
        raise Failure("This needs root (namespaces, mounts and cgroups). Run it again with sudo.")


def require_tools(tools: Mapping[str, str]) -> None:
    """Have each tool (a command or an absolute path), installing its Debian package if need be.

    Raises:
        Failure: something is missing and this is no Debian system, or apt failed.
    """
    missing = {tool: package for tool, package in tools.items() if not find_tool(tool)}
    if not missing:
        return
    packages = sorted(set(missing.values()))
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Failure(
            f"Missing: {', '.join(sorted(missing))}. "
            f"Install what Debian calls {' '.join(packages)}, then run this again."
        )
    with timed(f"Installing Debian packages {' '.join(packages)}"):
        apt_install(packages)
    still = sorted(tool for tool in missing if not find_tool(tool))
    if still:
        raise Failure(f"apt installed {' '.join(packages)}, yet {', '.join(still)} is missing.")


def find_tool(tool: str) -> str | None:
    """Find a command also where root's own tools are, whatever PATH says."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages without starting the services that some of them carry.

    Raises:
        Failure: apt could not.
    """
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    try:
        run(install, environment=quiet, timeout=600)
    except Failure:  # usually lists that are missing or out of date
        run(["apt-get", "update", "--quiet"], environment=quiet, timeout=300)
        run(install, environment=quiet, timeout=600)
