"""Probes that lean to the sex that was heard."""

import numpy as np
import pytest

from voicemesh.gallery.gallery import SEXES
from voicemesh.gallery.leaning import ENOUGH, SexAxis, mean_of
from voicemesh.gallery.search import Side


def side(count: int, apart: float, seed: int, sexes=("female", "male")) -> Side:
    """Unit vectors whose first coordinate tells the sex, the others not."""
    rng = np.random.default_rng(seed)
    sex = np.array([SEXES.index(sexes[row % len(sexes)]) for row in range(count)], np.uint8)
    vectors = 0.3 * rng.standard_normal((count, 6))
    vectors[:, 0] += np.where(sex == SEXES.index("female"), apart, -apart)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.arange(count, dtype=np.int32)
    return Side(vectors.astype(np.float16), numbers, numbers, sex)


@pytest.fixture(scope="module")
def axis():
    return SexAxis.of(side(400, 1.0, 0), side(400, 0.6, 1))


def unit(*values: float) -> np.ndarray:
    probe = np.array(values, np.float32)
    return probe / np.linalg.norm(probe)


def test_a_voice_on_the_wrong_side_comes_to_where_its_sex_usually_is(axis):
    assert abs(axis.direction[0]) > 0.99 and 0.3 < axis.usual["female"] < 0.9
    woman = unit(0.8, 0.5, -0.3, 0, 0, 0)
    led = axis.led(woman, "male")
    assert np.linalg.norm(led) == pytest.approx(1, abs=1e-5)
    before, after = (probe - (probe @ axis.direction) * axis.direction for probe in (woman, led))
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    assert cosine == pytest.approx(1, abs=1e-5)  # of what else tells of a person nothing changes
    assert led @ axis.direction < -0.4
    faces = side(400, 1.0, 0)
    nearest = np.argsort(faces.vectors.astype(np.float32) @ led)[::-1][:20]
    assert (faces.sex[nearest] == SEXES.index("male")).mean() > 0.9


def test_a_voice_on_the_right_side_stays_whole(axis):
    woman = unit(0.2, 0.5, -0.3, 0, 0, 0)
    assert axis.led(woman, "female") is woman
    assert axis.led(-woman, "male").tolist() == (-woman).tolist()


def test_there_is_no_axis_where_the_sexes_are_not_known():
    men, both = side(50, 1.0, 0, ("male",)), side(50, 1.0, 0)
    assert SexAxis.of(men, both) is None and SexAxis.of(both, men) is None
    unknown = side(50, 1.0, 0, ("",))
    assert SexAxis.of(both, unknown) is None
    assert SexAxis.of(both, side(50, -1.0, 0)) is None  # voices that lie the other way round
    assert SexAxis.of(both, both) is not None


def test_a_large_side_is_told_by_some_of_its_rows():
    large = side(2 * ENOUGH + 10, 1.0, 2)
    rows = np.flatnonzero(large.sex == SEXES.index("female"))[::2]
    np.testing.assert_allclose(
        mean_of(large, "female"), large.vectors[rows].astype(np.float32).mean(0), atol=1e-5
    )
