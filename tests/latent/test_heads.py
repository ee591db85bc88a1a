import pytest
import torch

from voicemesh.latent.heads import Heads, padded
from voicemesh.latent.search import SearchOptions, climb
from voicemesh.latent.statistics import Statistics
from voicemesh.nets.stylegan2 import Generator

TOLD, HEAD, STYLE = 5, 3, 12


@pytest.fixture
def scene():
    generator = Generator((8, 8), style=STYLE, depth=2, mapping_rate=1.0).requires_grad_(False)
    generator.style[1].weight[:, TOLD:] = 0
    rest = padded(torch.cat([torch.zeros(HEAD), torch.randn(TOLD - HEAD)]), STYLE)
    heads = Heads(generator.style, torch.arange(STYLE) < HEAD, rest)
    statistics = Statistics.of(generator.style[1:](padded_rows(torch.randn(500, TOLD))))
    wanted = torch.randn(3, 8, 8)

    def similarity(image):
        return torch.cosine_similarity(image.flatten(1), wanted.flatten()[None])

    return generator, statistics, similarity, heads


def padded_rows(z):
    return torch.nn.functional.pad(z, (0, STYLE - z.shape[1]))


def missed(scene, w):
    """How far whitened latents are from all heads."""
    _, statistics, _, heads = scene
    v = statistics.whiten(w)
    found = heads.nearest(statistics, v)
    return (statistics.whiten(heads.w(found)) - v).square().mean()


def test_the_nearest_head_of_a_head_is_itself(scene):
    known = torch.randn(4, HEAD)
    _, statistics, _, heads = scene
    w = heads.w(known)
    torch.testing.assert_close(w[:1], scene[0].style[1:](told(heads, known[:1])))
    found = heads.nearest(statistics, statistics.whiten(w))
    torch.testing.assert_close(found, known, atol=0.15, rtol=0)


def told(heads, known):
    whole = heads.rest.clone()
    whole[:HEAD] = known[0]
    return whole[None]


def test_a_search_that_moves_heads_finds_heads(scene):
    start = scene[3].w(torch.randn(3, HEAD))
    options = SearchOptions(steps=12, rate=0.2, stay=0.0, likely=0.0, views=0)
    *_, loose = climb(*scene[:3], start, options)
    first, *_, last = climb(*scene[:3], start, options, heads=scene[3])
    torch.testing.assert_close(first.w, start, atol=1e-3, rtol=1e-3)
    assert (last.similarity > first.similarity + 1e-3).all()
    assert missed(scene, last.w) < 0.01 < 0.1 * missed(scene, loose.w)


def test_what_a_start_is_beside_its_head_stays(scene):
    _, statistics, _, heads = scene
    start = statistics.unwhiten(statistics.whiten(heads.w(torch.randn(2, HEAD))) + 0.5)
    options = SearchOptions(steps=4, rate=0.2, views=0)
    first, *_, last = climb(*scene[:3], start, options, heads=heads)
    torch.testing.assert_close(first.w, start, atol=1e-3, rtol=1e-3)
    assert missed(scene, last.w) > 0.5 * missed(scene, start)


def test_heads_come_out_of_a_part_as_they_went_in(scene):
    heads = scene[3]
    again = Heads.read(heads.style, heads.tensors())
    assert torch.equal(again.free, heads.free)
    assert torch.equal(again.rest, heads.rest)
    assert Heads.read(heads.style, {"mean": torch.zeros(1)}) is None
