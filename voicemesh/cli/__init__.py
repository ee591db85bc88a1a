"""Commands: `python -m voicemesh COMMAND --help` tells each one's story."""

import argparse
import logging
import sys
from collections.abc import Sequence

import voicemesh

from . import converting, galleries, imagining, learning, measuring, people, portraying


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    0 is success, 1 a recording that failed, 2 a mistake in what was asked or a file or folder that
    cannot be used, 130 an interruption by Ctrl-C.
    """
    arguments = parsed(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    logging.getLogger("voicemesh").setLevel(logging.INFO)  # the guests' own news are for others
    try:
        return arguments.run(arguments)
    except ValueError as error:
        print(f"voicemesh {arguments.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or error
        print(f"voicemesh {arguments.command}: {place}{reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"voicemesh {arguments.command}: interrupted", file=sys.stderr)
        return 130


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; `name=value` may stand anywhere, which argparse itself does not allow."""
    whole = parser()
    arguments, rest = whole.parse_known_args(argv)
    unknown = [word for word in rest if word.startswith("-") or "=" not in word]
    if rest and (unknown or not hasattr(arguments, "overrides")):
        whole.error(f"unrecognized arguments: {' '.join(unknown or rest)}")
    if rest:
        arguments.overrides = [*arguments.overrides, *rest]
    return arguments


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog="voicemesh", description="The 3D face that a voice suggests."
    )
    version = f"voicemesh {voicemesh.__version__}"
    whole.add_argument("--version", action="version", version=version)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in (portraying, imagining, people, learning, measuring, galleries, converting):
        room.add_commands(commands)
    return whole
