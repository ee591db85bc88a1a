"""The names of parts: written in one place, and who rests on whom."""

import ast
from pathlib import Path

import voicemesh
from voicemesh.checkpoints import parts
from voicemesh.checkpoints.parts import FITTED_TO

NAMES = {
    name
    for constant, told in vars(parts).items()
    if constant.isupper() and constant != "FITTED_TO"
    for name in [told]
}
# Words that are also the name of a command, or of something else than a part.
AMBIGUOUS = {parts.FACE_MODEL, parts.CMP_TEACHER, parts.LPIPS}
TABLE = "upstream.py"  # whose names are those of published files, some of which become parts
PACKAGE = Path(voicemesh.__file__).parent


def test_nobody_writes_the_name_of_a_part_by_hand():
    written = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value!r}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != TABLE and path != Path(parts.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in NAMES - AMBIGUOUS
    ]
    assert not written


def test_what_is_fitted_is_known_and_never_to_itself():
    assert FITTED_TO.keys() <= NAMES
    assert {net for nets in FITTED_TO.values() for net in nets} <= NAMES
    order: list[str] = []  # in which they can be made, each after all that it is fitted to
    while waiting := FITTED_TO.keys() - set(order):
        ready = [part for part in waiting if waiting.isdisjoint(FITTED_TO[part])]
        assert ready, f"{sorted(waiting)} wait for each other"
        order += ready
