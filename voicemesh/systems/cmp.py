"""Cross-Modal Perceptionist: speech -> embedding -> 51 face parameters -> mesh.

The supervised branch gets from the embedding to the parameters by one linear head, the
unsupervised one by a face image. Where a bundle tells what each sex's voices let expect
(`joining`), that takes the head's place, for one recording of a voice and for several.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from voicemesh.audio.features import FRONT_ENDS, FrontEnd
from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import (
    CMP_FEATURE_VOICE,
    CMP_GENERATOR,
    CMP_HEAD,
    CMP_REPEATS,
    CMP_STATISTICS,
    CMP_TRAITS,
    CMP_VOICE,
)
from voicemesh.mesh.morphable import FaceMesh, MorphableModel
from voicemesh.nets.cmp import SupervisedHead, VoiceEncoder, VoiceTraits

from .cmp_unsupervised import ImageBranch
from .joining import HEARD as SCALED
from .joining import Joining

FRONT_END_OF_CHANNELS = {  # an encoder's input tells its front end
    64: "cmp",
    112: "voicemesh",
    116: "voicemesh-cycles",
}


@dataclass(frozen=True, eq=False)
class Perception:
    """What is heard in each of a batch of voices.

    The traits are None without their net, and their values without the statistics' scales.
    """

    embedding: Float[Tensor, "batch embedding"]
    parameters: Float[Tensor, "batch params"]  # scale, shape, expression; whitened
    shape_params: Float[Tensor, "batch s"]
    expression_params: Float[Tensor, "batch e"]
    traits: Float[Tensor, "batch 4"] | None  # log odds of a woman, three z-scores
    pitch_hz: Float[Tensor, " batch"] | None  # habitual
    tract_cm: Float[Tensor, " batch"] | None
    age: Float[Tensor, " batch"] | None


class CrossModalPerceptionist:
    """Voice -> embedding -> 3DMM parameters -> mesh (Wu, Hsu, Neumann, CVPR 2022).

    Nothing in it looks at the level or the polarity of the recording: the front ends remove both.
    Where there is no supervised head, the parameters are those of the image branch.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        voice: VoiceEncoder,
        head: SupervisedHead | None,
        face_model: MorphableModel,
        traits: VoiceTraits | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        images: ImageBranch | None = None,
        feature_voice: VoiceEncoder | None = None,
        joining: Joining | None = None,
    ) -> None:
        if head is None and images is None:
            raise ValueError("A supervised head, an image branch or both are needed, none is given")
        self.front_end, self.voice, self.images = front_end, voice.eval(), images
        self.head = head.eval() if head else None
        if feature_voice is None and front_end is FRONT_ENDS["cmp"]:
            feature_voice = voice
        self.feature_voice = feature_voice.eval() if feature_voice else None
        self.face_model, self.traits = face_model, traits.eval() if traits else None
        self.statistics = dict(statistics or {})
        self.joining = joining if head is not None and traits is not None else None
        self._shape_columns = 1, 1 + face_model.shape_basis.shape[2]  # first, one behind the last

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, device: torch.device | str = "cpu"
    ) -> "CrossModalPerceptionist":
        """The nets, the face model and the statistics of a bundle."""
        voice = bundle.net(CMP_VOICE).to(device)
        traits = bundle.net(CMP_TRAITS).to(device) if CMP_TRAITS in bundle.parts else None
        statistics = bundle.tensors(CMP_STATISTICS) if CMP_STATISTICS in bundle.parts else {}
        joining = Joining.of(bundle.tensors(CMP_REPEATS)) if CMP_REPEATS in bundle.parts else None
        published = CMP_FEATURE_VOICE in bundle.parts
        feature_voice = bundle.net(CMP_FEATURE_VOICE) if published else None
        face_model, imagines = bundle.face_model().to(device), CMP_GENERATOR in bundle.parts
        images_alone = imagines and CMP_HEAD not in bundle.parts
        return cls(
            front_end=front_end_of(voice),
            voice=voice,
            head=None if images_alone else bundle.net(CMP_HEAD).to(device),
            face_model=face_model,
            traits=traits,
            statistics={name: value.to(device) for name, value in statistics.items()},
            images=ImageBranch.from_bundle(bundle, face_model, device) if imagines else None,
            feature_voice=feature_voice and feature_voice.to(device),
            joining=joining and joining.to(device),
        )

    @torch.inference_mode()
    def perceive(self, speech: Float[Tensor, "batch samples"]) -> Perception:
        """Everything that is heard in speech at 16 kHz, silence already cut."""
        return self.perceive_moments(self.moments(speech))

    @torch.inference_mode()
    def moments(
        self, speech: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch embedding moments"]:
        """What the voice net hears in speech moment by moment; the mean is the embedding."""
        return self.moments_of(self.front_end(speech))

    @torch.inference_mode()
    def moments_of(
        self, features: Float[Tensor, "batch channels frames"]
    ) -> Float[Tensor, "batch embedding moments"]:
        """`moments` of features that the front end gave before."""
        return self.voice.model(features)

    @torch.inference_mode()
    def perceive_moments(self, moments: Float[Tensor, "batch embedding moments"]) -> Perception:
        """`perceive` of moments heard before."""
        return self.perceive_embedding(functional.normalize(moments.mean(-1)))

    @torch.inference_mode()
    def perceive_features(self, features: Float[Tensor, "batch channels frames"]) -> Perception:
        """`perceive` of features that the front end gave before."""
        return self.perceive_embedding(functional.normalize(self.voice(features)))

    @torch.inference_mode()
    def perceive_published(self, features: Float[Tensor, "batch 64 frames"]) -> Perception:
        """`perceive` of published features, whatever the front end of this system is.

        Raises:
            ValueError: no net of the system reads them.
        """
        if self.feature_voice is None:
            raise ValueError(
                f"No network here reads published features; a bundle needs {CMP_FEATURE_VOICE!r}"
            )
        return self.perceive_embedding(functional.normalize(self.feature_voice(features)))

    @torch.inference_mode()
    def perceive_embedding(self, embedding: Float[Tensor, "batch embedding"]) -> Perception:
        """All that follows from embeddings of unit length."""
        if self.joining is not None:
            return self.perceive_several(embedding[None])
        if self.head is not None:
            parameters = self.head(embedding)
        else:
            parameters = self.images.imagine(embedding).parameters
        traits = None if self.traits is None else self.traits(embedding)
        return self.perception(embedding, parameters, traits)

    @torch.inference_mode()
    def perceive_several(
        self, embeddings: Float[Tensor, "recordings batch embedding"], days: int | None = None
    ) -> Perception:
        """What several recordings of each of a batch of voices tell together.

        Without a number of `days` every recording is of another one.

        Raises:
            ValueError: the bundle does not know how recordings are joined.
        """
        if self.joining is None:
            raise ValueError(
                f"This bundle does not tell in {CMP_REPEATS!r} how recordings are joined"
            )
        odds = self.traits(embeddings.flatten(0, 1))[:, 0]
        mean, odds = embeddings.mean(0), odds.unflatten(0, embeddings.shape[:2]).mean(0)
        odds, told = self.joining.expect(mean, odds, days or len(embeddings))
        scale, _, expression = self.head(mean).tensor_split(self._shape_columns, 1)
        shape, heard = told.tensor_split([told.shape[1] - len(SCALED)], 1)
        parameters = torch.cat([scale, shape, expression], 1)
        traits = torch.cat([odds[:, None], heard], 1)
        return self.perception(functional.normalize(mean), parameters, traits)

    def perception(
        self,
        embedding: Float[Tensor, "batch embedding"],
        parameters: Float[Tensor, "batch params"],
        traits: Float[Tensor, "batch 4"] | None,
    ) -> Perception:
        """All of it by name, and the traits in their units."""
        pitch = tract = age = None
        if traits is not None and f"{SCALED[0]}_scale" in self.statistics:
            log_pitch, log_tract, age = (
                traits[:, column] * self.statistics[f"{name}_scale"][1]
                + self.statistics[f"{name}_scale"][0]
                for column, name in enumerate(SCALED, 1)
            )
            pitch, tract = log_pitch.exp(), log_tract.exp()
        _, shape, expression = parameters.tensor_split(self._shape_columns, 1)
        return Perception(
            embedding=embedding,
            parameters=parameters,
            shape_params=shape,
            expression_params=expression,
            traits=traits,
            pitch_hz=pitch,
            tract_cm=tract,
            age=age,
        )

    def parameters(self, speech: Float[Tensor, " samples"]) -> Float[Tensor, " params"]:
        """Whitened scale, shape and expression parameters of one voice."""
        return self.perceive(speech[None]).parameters[0]

    def mesh(self, speech: Float[Tensor, " samples"]) -> FaceMesh:
        """The face of one voice, in millimetres."""
        seen = self.perceive(speech[None])
        return self.face_model.mesh(seen.shape_params[0], seen.expression_params[0])

    def female(self, shape_params: Float[Tensor, "batch s"]) -> Bool[Tensor, " batch"]:
        """Is the mesh nearer to the women's mean than to the men's?

        Raises:
            ValueError: the bundle has no statistics to compare with.
        """
        if "mean_female" not in self.statistics:
            raise ValueError(f"This bundle has no part {CMP_STATISTICS!r} with the mean shapes")
        men, women = self.statistics["mean_male"], self.statistics["mean_female"]
        gram = shape_gram(self.face_model)
        return squared_distance(shape_params - women, gram) <= squared_distance(
            shape_params - men, gram
        )


def front_end_of(voice: VoiceEncoder) -> FrontEnd:
    """The features that an encoder reads; errors as of `front_end_name`."""
    return FRONT_ENDS[front_end_name(voice)]


def front_end_name(voice: VoiceEncoder) -> str:
    """What the features are called that an encoder of so many input channels reads.

    Raises:
        ValueError: no front end has that number of channels.
    """
    channels = voice.model[0].in_channels
    if channels not in FRONT_END_OF_CHANNELS:
        raise ValueError(
            f"The voice encoder reads {channels} channels; front ends have"
            f" {', '.join(map(str, FRONT_END_OF_CHANNELS))}"
        )
    return FRONT_END_OF_CHANNELS[channels]


def shape_gram(face_model: MorphableModel) -> Float[Tensor, "s s"]:
    """Inner products of the whitened shape axes, in square millimetres summed over vertices."""
    basis = face_model.shape_basis.flatten(0, 1) * face_model.shape_deviation
    return basis.T @ basis


def squared_distance(
    difference: Float[Tensor, "*batch s"], gram: Float[Tensor, "s s"]
) -> Float[Tensor, "*batch"]:
    """Squared distance of two meshes from the difference of their parameters."""
    return ((difference @ gram) * difference).sum(-1)
