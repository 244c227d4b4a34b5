"""The command line: python -m dev.images COMMAND."""

import argparse
import sys

from dev.host import exit_code
from dev.images.builder import build, image
from dev.images.content import COMPONENTS
from dev.images.debian import base


def _build(options: argparse.Namespace) -> None:
    for component in COMPONENTS if options.component == "all" else (options.component,):
        print(build(component, options.base).archive)


def _refs(options: argparse.Namespace) -> None:
    for component in COMPONENTS:
        print(image(component, options.base).ref)


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    top = argparse.ArgumentParser(prog="python -m dev.images", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("base", help="make the local base image")
    command.set_defaults(action=lambda _: print(base()))
    command = commands.add_parser("build", help="build what changed; print the archives")
    command.add_argument("component", nargs="?", default="all", choices=(*COMPONENTS, "all"))
    command.add_argument("--base", help="an image to build on instead of the local base image")
    command.set_defaults(action=_build)
    command = commands.add_parser("refs", help="print the names of the present tree's images")
    command.add_argument("--base", help="as for build")
    command.set_defaults(action=_refs)
    return top


def main() -> int:
    """Run one command."""
    options = parser().parse_args()
    return exit_code(lambda: options.action(options))


if __name__ == "__main__":
    sys.exit(main())
