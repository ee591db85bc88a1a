import numpy as np
import pytest

from voicemesh.evaluation.identity import identified

PERSON = np.arange(5).repeat(3)
FRONTAL = np.tile([True, False, False], 5)


def test_a_face_is_found_among_all():
    found = identified(np.eye(5)[PERSON], PERSON, FRONTAL)
    assert (found.people, found.auc, found.equal_error_rate, found.first) == (5, 1, 0, 1)


def test_one_person_taken_for_another_costs_his_pictures():
    features = np.eye(5)[PERSON]
    features[1] = np.eye(5)[3]  # a picture of the first looks like the fourth
    found = identified(features, PERSON, FRONTAL)
    assert found.first == pytest.approx(0.9) and found.auc < 1


def test_both_kinds_of_pictures_are_needed():
    with pytest.raises(ValueError, match="both kinds"):
        identified(np.eye(5)[PERSON], PERSON, np.ones(15, bool))
    with pytest.raises(ValueError):
        identified(np.eye(5)[PERSON], PERSON, FRONTAL & (PERSON > 0))
