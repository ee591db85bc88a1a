"""The names of parts: written in one place, and who rests on whom."""

import ast
import doctest
from pathlib import Path

import pytest

import voicemesh
from voicemesh.checkpoints import parts
from voicemesh.checkpoints.parts import FITTED_TO, resting_on

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
    for part, nets in FITTED_TO.items():
        assert set(nets) <= NAMES
        assert part not in resting_on({part}) and not {part} & set(nets)


@pytest.mark.parametrize(
    ("replaced", "useless"),
    [
        ({"cmp-student"}, set()),
        ({"cmp-generator"}, {"cmp-student"}),
        ({"stylegan2-statistics"}, {"stylegan2-encoder"}),
        ({"cmpc-face-encoder"}, {f"voicestyle-{of}" for of in ("start", "members", "samples")}),
    ],
)
def test_what_rests_on_a_part(replaced, useless):
    assert resting_on(replaced) - {"cmpc-prototypes"} == useless


def test_readings_of_a_voice_rest_on_its_encoder_through_others():
    useless = resting_on({"cmp-voice-encoder"})
    assert {"cmp-supervised-head", "cmp-feature-encoder", "cmp-student"} <= useless
    assert "cmp-teacher" not in useless and "cmp-voice-encoder" not in useless


def test_examples():
    assert doctest.testmod(parts).failed == 0
