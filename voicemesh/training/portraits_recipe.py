"""How a portrait generator is trained by regression: the recipes."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class PortraitsRecipe:
    """Regression of a small generator, small pictures first."""

    size: int = 128  # pixels
    base: int = 2048  # channels times the pixels of a row
    cap: int = 128  # channels at most
    style: int = 256
    depth: int = 4  # layers of the mapping
    mapping_rate: float = 0.5
    # Share of the usual modulation to begin with: images are nearly linear in w at first, and
    # need not unlearn what random products of many layers make of it.
    modulation: float = 0.1
    neutral: bool = False  # only heads at rest, facing the camera in neutral light
    more: tuple[str, ...] = ()  # folders of further populations whose portraits to learn from
    people: int = 0  # further people, without voices, drawn to learn from their neutral portraits
    draws: int = 4  # z of each portrait, between which steps choose by chance
    resting: float = 0.0  # share of a batch that is neutral, others not; 0 takes all alike
    mapping: int = 0  # steps of the mapping alone, before all others
    steps: int = 20_000
    sizes: tuple[int, ...] = (32, 64, 128)  # that are trained one after another
    shares: tuple[float, ...] = (0.3, 0.35, 0.35)  # of the steps
    batch_size: int = 16
    learning_rate: float = 4e-3
    warming: float = 0.02  # share of the steps over which the rate rises
    cooling: float = 0.2  # share of the steps at the end over which it falls to nothing
    edges: float = 1.0  # weight of each level of the Laplacian pyramid against plain differences
    texture: float = 0.0  # weight of local contrast, band by band, in pictures of full size
    faces: float = 0.0  # how much more a pixel of eyes, nose or mouth counts than a corner
    kept: float = 0.0  # share of the averaged net that a step leaves; 0 keeps no average
    half: bool = False  # convolutions in bfloat16: twice as fast on CPUs that know it
    start: str = ""  # folder of a finished run to start from
    layers: str = ""  # folder of a run of stylegan2 whose layers, not its mapping, to begin with
    seed: int = 0


BUNDLE = PortraitsRecipe(
    resting=0.5,
    mapping=4000,
    steps=2000,
    sizes=(64,),
    shares=(1.0,),
    warming=0.06,
    cooling=0.0,  # adversarial training goes on
    faces=4.0,
    kept=0.995,
    half=True,
)
# The layers that BUNDLE begins with.
NEUTRAL = replace(
    BUNDLE,
    neutral=True,
    resting=0.0,
    mapping=0,
    people=3000,
    steps=4500,
    sizes=(32, 64),
    shares=(0.64, 0.36),
    warming=0.02,
)
RECIPES = {"varied": PortraitsRecipe(), "bundle": BUNDLE, "neutral": NEUTRAL}


def rate_share(passed: float, recipe: PortraitsRecipe) -> float:
    """Share of the learning rate when so much of the steps has passed."""
    rising = passed / recipe.warming if recipe.warming else 1.0
    falling = (1 - passed) / recipe.cooling if recipe.cooling else 1.0
    return max(0.0, min(1.0, rising, falling))
