"""SF2F's measures on cases that can be told by hand, and its protocol on toys."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from voicemesh.evaluation import sf2f, sf2f_measures


def unit(seed: int, rows: int = 30, features: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(rows, features, generator=generator))


def test_true_faces_are_at_no_distance_and_found_at_once():
    faces = unit(0)
    near = sf2f_measures.distances(faces, faces)
    assert near["cosine"] == pytest.approx(1) and near["l1"] < 1e-4 and near["l2"] < 1e-4
    others = (faces @ faces.T).fill_diagonal_(0).sum() / (30 * 29)
    assert near["inter_human"] == pytest.approx(float(others), abs=1e-6)
    assert set(sf2f_measures.recall(faces, faces).values()) == {1.0}


@pytest.mark.parametrize("by", ["cosine", "l1"])
def test_recall_counts_within_each_gallery(by):
    faces, told = unit(0, 20), unit(0, 20).clone()
    told[:10] = faces[:10].roll(1, 0)  # all ten of the first gallery see their neighbour
    assert sf2f_measures.recall(faces, told, by, (1,), size=10)[1] == 0.5
    assert sf2f_measures.recall(faces, told, by, (1,), size=10, galleries=1)[1] == 0.0
    assert sf2f_measures.recall(faces, told, by, (10,), size=10)[10] == 1.0
    ranks = sf2f_measures.ranks(faces, told, by)
    assert ranks[10:].tolist() == [0] * 10 and (ranks[:10] >= 1).all()
    with pytest.raises(ValueError, match="not by 'angle'"):
        sf2f_measures.ranks(faces, told, "angle")


def test_certainty_is_one_for_equal_images_and_the_number_of_classes_at_best():
    same = torch.zeros(10, 4)
    assert sf2f_measures.certainty(same) == (pytest.approx(1), pytest.approx(0))
    sure = 200 * torch.eye(4).repeat(5, 1)  # probabilities that underflow in float32
    assert sf2f_measures.certainty(sure)[0] == pytest.approx(4)
    uneven = torch.cat([sure, same[:3]])
    assert sf2f_measures.certainty(uneven, equal=True)[0] == pytest.approx(4)
    assert sf2f_measures.certainty(uneven)[0] < 3.9
    with pytest.raises(ValueError, match="5 splits need as many images, 3 are given"):
        sf2f_measures.certainty(same[:3])


def test_the_frechet_distance_of_gaussians_along_one_axis():
    rng = np.random.default_rng(0)
    real = torch.from_numpy(rng.standard_normal((4000, 2)))
    real = (real - real.mean(0)) / real.std(0)
    made = 2 * real + torch.tensor([3.0, 0.0])
    # Means 3 apart, deviations 1 and 2 in both directions.
    assert sf2f_measures.frechet(real, made) == pytest.approx(9 + 2, rel=1e-3)
    assert sf2f_measures.frechet(real, real) == pytest.approx(0, abs=1e-9)


def test_what_the_sex_alone_tells_leaves_the_person_out():
    gallery = unit(3, 6)
    women = torch.tensor([True, True, True, False, False, False])
    told = sf2f.mean_of_sex(gallery, women)
    torch.testing.assert_close(told[0], functional.normalize(gallery[1] + gallery[2], dim=0))
    torch.testing.assert_close(told[5], functional.normalize(gallery[3] + gallery[4], dim=0))


def test_figures_and_their_table():
    gallery = unit(5, 230)
    results = {
        "people": 230,
        "judge": "sf2f-facenet",
        "systems": {"fused": sf2f.figures(gallery, gallery)},
        "frechet": 0.5,
        "vggface": {"rgb": {"score": 2.0, "deviation": 0.1}},
    }
    found = results["systems"]["fused"]
    assert found["gallery"] == 100 and found["recall"]["1"]["value"] == 1.0
    told = sf2f.table(results)
    assert "100.0 [100.0, 100.0]" in told and "VGGFace Score (rgb): 2.00 +- 0.10" in told
    assert told.splitlines()[2].split()[1:3] == ["1.0", "2.0"]  # chance
