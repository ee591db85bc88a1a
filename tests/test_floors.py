"""The house: a module imports only from floors below its own."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "voicemesh"
FLOORS = [
    "kernels whole_files",
    "audio images mesh nets",
    "checkpoints gallery latent population",
    "systems figures",
    "evaluation indexing pipeline",
    "training page",
    "cli",
]
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor.split()}
TOP = {"__init__", "__main__"}


def rooms_imported(path: Path) -> set[str]:
    """Rooms of the package that a module imports from, its own room excepted."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            parts = node.module.split(".")
            if parts[0] == "voicemesh":
                rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            rooms |= {parts[1] for parts in names if parts[0] == "voicemesh" and len(parts) > 1}
    return rooms - {path.relative_to(PACKAGE).parts[0].removesuffix(".py")}


def test_every_module_has_a_floor():
    rooms = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")
    }
    assert rooms - TOP <= set(HEIGHT)


def test_imports_look_down():
    looking_up = []
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for room in rooms_imported(path):
            if HEIGHT[room] >= HEIGHT.get(here, len(FLOORS)):
                looking_up.append(f"{path.relative_to(PACKAGE)}: {here} -> {room}")
    assert not looking_up


def test_relative_imports_stay_in_their_room():
    climbing = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.level >= len(path.relative_to(PACKAGE).parts)
        and path.name not in ("__init__.py", "__main__.py")
    ]
    assert not climbing
