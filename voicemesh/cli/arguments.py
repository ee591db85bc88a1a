"""Arguments that several commands share."""

import argparse
from collections.abc import Callable

Commands = argparse._SubParsersAction  # which argparse gives no public name


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    description: str = "",
) -> argparse.ArgumentParser:
    """Another command; its own help begins with the description, or else with the short help."""
    command = commands.add_parser(name, help=help, description=description or help.capitalize())
    command.set_defaults(run=run)
    return command


def add_bundle(
    command: argparse.ArgumentParser, purpose: str = "the nets to use", device: bool = True
) -> None:
    """The arguments that say which nets, and where they run."""
    command.add_argument(
        "--bundle",
        metavar="WHERE",
        help=f"{purpose}: a folder or owner/name[@revision]; without it the embedded bundle",
    )
    if device:
        told = "cpu, cuda, cuda:1, mps; without it a CUDA GPU if there is one, else the CPU"
        command.add_argument("--device", help=told)


def add_overrides(command: argparse.ArgumentParser) -> None:
    """The trailing `name=value` pairs."""
    told = "change the recipe; a wrong name lists all"
    command.add_argument("overrides", nargs="*", metavar="name=value", help=told)
