"""How Seeking the Shape of Sound is trained: recipes."""

from dataclasses import dataclass

from voicemesh.checkpoints.parts import CMP_VOICE


@dataclass(frozen=True)
class SssRecipe:
    """Both runs; the defaults are the published ones.

    `small` puts heads on small backbones that stay as they are and are trained before, on the
    same people. Backbones may be named instead: folders of such runs; else the authors' files
    (baseline_lite_ap.model, backbone_ir50_ms1m_epoch120.pth), without which both nets start from
    nothing.
    """

    small: bool = False
    more: tuple[str, ...] = ()  # folders of further populations that small nets learn from
    voice_backbone: str = ""
    face_backbone: str = ""
    face_start: str = ""  # bundle whose small face net goes on learning; "bundle": the given one's,
    # if it has one
    front_end: str = "sss"
    voice_start: str = ""  # part of the bundle that a small voice backbone begins with
    masked_tracks: float = 0.0  # share of what it hears without any tracks of cycles
    voice_steps: int = 0  # of the small backbones
    face_steps: int = 0
    kept_views: int = 0  # of every portrait, whose codes are kept besides those of itself
    voice_blocks: tuple[int, ...] = (3, 4, 6, 3)
    voice_widths: tuple[int, ...] = (16, 32, 64, 128)
    face_units: tuple[int, ...] = (3, 4, 14, 3)
    face_widths: tuple[int, ...] = (64, 128, 256, 512)
    side: int = 112
    features: int = 512
    voice_code: int = 0  # values that a small backbone gives
    face_code: int = 0
    embedding: int = 128
    dropout: float = 0.5
    reweighting_steps: int = 2400
    reweighting_drops: tuple[int, ...] = (1000, 2000)  # steps at which the rate falls to a tenth
    main_steps: int = 10_000
    main_drops: tuple[int, ...] = (2000, 3000)
    batch_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    optimiser: str = "sgd"  # or adamw, whose rate rises and falls once
    validate_every: int = 2000
    first_update: int = 500  # of the weights of identities, in steps
    update_every: int = 100
    weights_of_samples: bool = False  # as meant, not as published: see `training.sss_losses.losses`
    identity_weight: float = 1.0  # of the two cross-entropies
    cross_weight: float = 1.0
    law_weight: float = 0.0  # of what the law of a population says of every pair
    shortest_cut: int = 40_000  # samples
    longest_cut: int = 80_000
    views: float = 1.0  # strength of what is done to portraits
    seed: int = 1


BUNDLE = SssRecipe(
    small=True,
    face_start="bundle",
    front_end="voicemesh-cycles",
    voice_start=CMP_VOICE,
    masked_tracks=0.1,
    voice_steps=900,  # on 15,500 people; 7500 on 5800 learnt them by heart: no gain on others;
    # 3400 more on 20,700, a block deeper, heard hardly more: 55.4 % of tied habits, not 54.8
    face_steps=2400,
    voice_blocks=(0, 0, 1, 1),
    voice_widths=(192, 288, 432, 648),
    voice_code=64,
    face_units=(1, 2, 2, 2),
    face_widths=(24, 48, 96, 160),
    face_code=48,
    features=256,
    dropout=0.1,
    embedding=64,
    reweighting_steps=200,
    main_steps=900,
    batch_size=256,
    learning_rate=2e-3,
    weight_decay=0.05,
    optimiser="adamw",
    validate_every=150,
    first_update=100,
    update_every=12,
    weights_of_samples=True,
    identity_weight=0.005,
    cross_weight=0.1,
    law_weight=1.0,
)
RECIPES = {"published": SssRecipe(), "bundle": BUNDLE}
