"""What the page says of matches whose nets heard another sex than the mesh's."""

import pytest

from voicemesh.gallery.gallery import Entry
from voicemesh.page.matches import facts_of
from voicemesh.pipeline.matching import Match, Ranking


def person(number: int, sex: str) -> Match:
    entry = Entry(
        number, f"p{number}", "Somebody, 30", sex, 30.0, "", "", "", None, None, shape_params=None
    )
    return Match(entry, 0.5, 90.0, None)


def ranking(*sexes: str, **about) -> Ranking:
    matches = tuple(person(number, sex) for number, sex in enumerate(sexes))
    told = {"histogram": None, "people": 10, "alike": 5, "supposed": "male"} | about
    return Ranking("sss", "faces", None, matches, **told)


@pytest.mark.parametrize(
    ("supposed", "sexes", "leaning", "words"),
    [
        ("male", ("male", "male"), False, ""),
        ("male", ("male", "male"), True, "heard one of the women. The search follows the mesh"),
        ("female", ("female", "female"), True, "The mesh is a woman's"),
        ("male", ("female", "female"), False, "most of these people are women"),
        ("male", ("female", "female"), True, "most of these people are women"),
    ],
)
def test_a_doubt_about_the_sex_is_told_once(supposed, sexes, leaning, words):
    first, *others = facts_of(ranking(*sexes, leaning=leaning, supposed=supposed))
    assert words in first and ("Two readings differ" in first) == bool(words)
    assert not any("Two readings differ" in fact for fact in others)
