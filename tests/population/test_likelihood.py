"""The law's likelihood ratio against the law itself."""

import numpy as np
import pytest

from voicemesh.population import likelihood
from voicemesh.population.law import draw
from voicemesh.population.likelihood import LikelihoodRatio


@pytest.fixture(scope="module")
def people():
    return draw(1200, seed=5)


def right(scores, allowed):
    """How often the own face is likelier than another one that is allowed."""
    allowed = allowed & ~np.eye(len(scores), dtype=bool)
    wins = np.diag(scores)[:, None] > scores
    return wins[allowed].mean()


@pytest.mark.parametrize("measures", likelihood.MEASURES)
def test_ratios_of_strangers_are_one_on_average(people, measures):
    ratio = LikelihoodRatio.fit(0.8, 1, measures, count=60_000)
    scores = ratio.scores(people, people, seed=1)
    assert np.exp(scores, dtype=np.float64).mean() == pytest.approx(1, abs=0.02)


def test_the_law_lets_this_much_be_matched(people):
    scores = LikelihoodRatio.fit(0.8, 2, count=60_000).scores(people, people, seed=1)
    alike = people.mode[:, None] == people.mode
    near = alike & (np.abs(people.age[:, None] - people.age) <= 5)
    assert right(scores, np.ones_like(alike)) == pytest.approx(0.857, abs=0.02)
    assert right(scores, alike) == pytest.approx(0.72, abs=0.03)
    assert right(scores, near) == pytest.approx(0.62, abs=0.03)


def test_more_days_and_a_scale_tell_more(people):
    def gained(sessions, measures):
        ratio = LikelihoodRatio.fit(0.8, sessions, measures, count=60_000)
        return np.diag(ratio.scores(people, people, seed=1)).mean()

    assert gained(3, "lengths") > gained(1, "lengths") > gained(1, "picture") > 0


def test_without_coupling_only_sex_and_age_count():
    people = draw(1200, seed=6, coupling=0.0)
    scores = LikelihoodRatio.fit(0.0, 2, count=60_000).scores(people, people, seed=1)
    near = np.abs(people.age[:, None] - people.age) <= 1
    assert right(scores, near & (people.mode[:, None] == people.mode)) < 0.54
    assert right(scores, people.mode[:, None] != people.mode) > 0.98


def test_proportions_know_no_scale(people):
    some = people.take(np.arange(5))
    shown = likelihood.proportions(some)
    some.lengths[:] *= 1.3
    np.testing.assert_allclose(likelihood.proportions(some), shown, atol=1e-12)
    with pytest.raises(ValueError, match="no measures 'weight'; there are lengths, picture"):
        LikelihoodRatio.fit(0.8, measures="weight")


def test_grey_hair_tells_the_age_of_the_old(people):
    told, old = likelihood.age_by_hair(people), people.age > 45
    assert np.corrcoef(told[old], people.age[old])[0, 1] > 0.6
    assert 5 < np.std((told - people.age)[old & (people.age < 60)]) < 11
