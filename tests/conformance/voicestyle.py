"""Adapters: what VoiceStyle takes from CMPC."""

import numpy as np
import torch
from conformance.case import Arrays, Case

from voicemesh.systems.cmpc_prototypes import Prototypes


def prototype_search(case: Case) -> Arrays:
    arguments = case.description["arguments"]
    members = torch.arange(arguments["instances"])
    prototypes = Prototypes(
        tuple(
            torch.from_numpy(case.input(f"centroids_{level}"))
            for level in range(len(arguments["cluster"]))
        ),
        tuple(
            torch.from_numpy(np.floor(case.input(f"assignment_{level}") * count)).long()
            for level, count in enumerate(arguments["centroid_counts"])
        ),
        person=members,
        picture=members,
    )
    voice = torch.from_numpy(case.input("voice"))[0]
    return {
        f"members_{clusters}": prototypes.published_members(voice, clusters, arguments["K"]).numpy()
        for clusters in arguments["cluster"]
    }


ADAPTERS = {"voicestyle-prototype-search": prototype_search}
