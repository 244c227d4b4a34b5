"""The command line: python -m dev.cluster COMMAND."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from dev.cluster import binaries, lifecycle
from dev.host import exit_code, say


def _up(options: argparse.Namespace) -> None:
    cluster = lifecycle.up(audit=options.audit)
    say(f"Ready. Context {cluster.context}; use it with:")
    print(f"export KUBECONFIG={cluster.kubeconfig} PATH={binaries.bin_folder()}:$PATH")


def _build(options: argparse.Namespace) -> None:
    print(binaries.build(options.programs))
    binaries.remove_other_versions()


_Action = Callable[[argparse.Namespace], None]

# Command, what it does, what does it.
_COMMANDS: tuple[tuple[str, str, _Action], ...] = (
    ("build", "build the programs that are missing (default: all)", _build),
    ("bin", "print the folder of the programs", lambda _: print(binaries.bin_folder())),
    ("up", "start the cluster, or what is missing of it", _up),
    ("down", "stop the cluster and leave nothing behind", lambda _: lifecycle.down()),
    ("status", "say what runs", lambda _: print(lifecycle.status())),
    ("load", "import image archives into every node", lambda o: lifecycle.load(o.archives)),
    (
        "images",
        "print the images of the first node",
        lambda _: print(*lifecycle.images(), sep="\n"),
    ),
    ("node", "add a node or start it again", lambda o: lifecycle.join(o.number)),
    ("node-remove", "drain and remove a node", lambda o: lifecycle.leave(o.number)),
    ("node-stop", "cut a node's power", lambda o: lifecycle.stop_node(o.number)),
    ("partition", "pull a node's network cable", lambda o: lifecycle.partition(o.number)),
    ("heal", "plug a node's network cable back in", lambda o: lifecycle.heal(o.number)),
)


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(prog="python -m dev.cluster", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, words, action in _COMMANDS:
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(action=action)
        if name == "build":
            command.add_argument("programs", nargs="*", help=", ".join(binaries.PROGRAMS))
        elif name == "up":
            command.add_argument("--audit", action="store_true", help="write an audit log")
        elif name == "load":
            command.add_argument("archives", nargs="+", type=Path)
        elif name.startswith("node") or name in ("partition", "heal"):
            command.add_argument("number", type=int, help="1 is the first node")
    return top


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run one command."""
    signal.signal(signal.SIGTERM, _interrupt)  # how CI cancels
    options = parser().parse_args()
    return exit_code(lambda: options.action(options))


if __name__ == "__main__":
    sys.exit(main())
