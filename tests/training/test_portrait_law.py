import numpy as np
import pytest

from tests.training.test_stylegan2_portraits import portraits
from voicemesh.population.portraits import LOOKS, cloth_of, shed, sitting
from voicemesh.population.streams import stream
from voicemesh.training.copula import Copula
from voicemesh.training.portrait_law import BEARDED, ParameterLaw, parameters_of


def heads(rng, rows=3000):
    """Two shape parameters that tell men apart; men's beards come with moustaches."""
    male = rng.random(rows) < 0.4
    values = rng.standard_normal((rows, 2 + len(LOOKS) + 4)).astype(np.float32)
    values[:, 0] += 3 * male
    beard, moustache = (2 + LOOKS.index(name) for name in ("beard", "moustache"))
    wears = male & (rng.random(rows) < 0.3)
    values[:, beard] = wears * rng.uniform(4, 30, rows)
    values[:, moustache] = wears * rng.uniform(4, 8, rows)
    values[:, 2 + BEARDED] = male * rng.uniform(0.1, 0.7, rows)
    return values, male, wears


def test_z_is_gaussian_and_white_in_each_sex(rng, tmp_path):
    values, male, _ = heads(rng)
    law = ParameterLaw.of(values, 2)
    z = law.z(values, rng)
    assert z.shape == (3000, law.size) and law.sitting_from == 3 + len(LOOKS)
    for rows in (male, ~male):
        covariance = np.cov(z[rows, 1:].T)
        np.testing.assert_allclose(covariance, np.eye(len(covariance)), atol=0.15)
        np.testing.assert_allclose(z[rows, 1:].mean(0), 0, atol=0.15)
    assert z[male, 0].min() > z[~male, 0].max()
    assert abs(z[:, 0].mean()) < 0.06 and abs(z[:, 0].std() - 1) < 0.06
    law.save(tmp_path / "law.safetensors")
    again = ParameterLaw.read(tmp_path / "law.safetensors")
    np.testing.assert_array_equal(again.z(values[:9]), law.z(values[:9]))


def test_what_many_share_is_a_range_and_its_middle_is_certain(rng):
    values, male, wears = heads(rng)
    law = ParameterLaw.of(values, 2)
    beard = 1 + 2 + LOOKS.index("beard")
    bare = male & ~wears
    assert law.z(values, rng)[bare, beard].std() > 0.5
    np.testing.assert_array_equal(law.z(values[:50]), law.z(values[:50]))
    assert law.z(values)[bare, beard].std() < 0.3


def test_ranges_go_together_as_the_values_do(rng):
    hidden = rng.standard_normal((4000, 1)) * [1, 1] + 0.3 * rng.standard_normal((4000, 2))
    values = np.maximum(hidden, 0.8).astype(np.float32)  # three of four share the least
    law = Copula.of(values)
    assert abs(law.correlation[0, 1] - np.corrcoef(hidden.T)[0, 1]) < 0.05


def test_a_value_that_never_changes_says_nothing(rng):
    values = np.column_stack([rng.standard_normal(500), np.full(500, 0.3)]).astype(np.float32)
    values[:, 1] += 1e-8 * np.arange(500)
    law = Copula.of(values)
    assert np.abs(law.z(values)[:, 1]).max() < 0.4
    assert 0.8 < law.z(values, rng)[:, 1].std() < 1.2


def test_values_beyond_all_that_were_seen_are_no_rarer_than_the_rarest(rng):
    law = Copula.of(rng.standard_normal((500, 2)).astype(np.float32))
    far, farther = law.z(np.array([[9, -9], [1e6, -1e6]], np.float32))
    assert 2.5 < np.abs(far).min() and np.abs(far).max() < 6
    np.testing.assert_array_equal(far, farther)


def test_a_law_that_is_missing_or_old_is_told(tmp_path):
    with pytest.raises(ValueError, match="no run of stylegan2-portraits"):
        ParameterLaw.read(tmp_path / "law.safetensors")


def test_parameters_tell_the_exposure_against_an_even_light_and_the_cloth(rng):
    shard = portraits(rng, 6)
    values = parameters_of(shard, seed=3)
    light = shard.light[0]
    assert values[0, -7] == pytest.approx(shed(*map(float, (*light[:3], light[4], light[6]))))
    for row in (1, 5):  # pictures 1 and 2
        expected = cloth_of(3, row, row % 3, 1)
        np.testing.assert_allclose(values[row, -3:], expected, rtol=1e-6)
        drawn = sitting(stream(3, "portrait", row, row % 3), 1)
        assert drawn.cloth == expected
    assert (values[0, -3:] == values[3, -3:]).all()  # neutral
