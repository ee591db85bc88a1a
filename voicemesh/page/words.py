"""The words of the page that do not depend on a voice."""

from html import escape

from voicemesh.checkpoints.bundle import Bundle
from voicemesh.checkpoints.parts import CMP_HEAD, CMP_STATISTICS
from voicemesh.pipeline import Pipeline

MEASURED = (CMP_HEAD, CMP_STATISTICS)  # the parts that say how well the mesh was measured to fit
HEADER = """<header class="masthead"><div><h1>voicemesh</h1>
<p>The 3D face that a voice suggests, and how much a voice can tell.</p></div>
<span class="chip" title="Who the networks learnt from, and where they run">Learnt from: {title} ·
runs on {device}</span>
</header>"""
HINT = """<p class="hint">Record 5 to 10 seconds of free talk, or choose a file. Any language
will do. <small>It is read on the machine that serves this page and removed within the hour.</small>
</p>"""
HONEST = """<section class="honest"><h2>What a voice can and cannot tell</h2>
<p>Sex, and to a small degree the size and length of the head, leave traces in a voice: a longer
vocal tract lowers the resonances, thicker vocal folds the pitch. That is what you see here. Most
of a face leaves no trace: two people with the same voice can look quite different, so this is
<b>not your face, but the middle of all faces that fit your voice</b>. It identifies nobody.</p>
<p>It expects one grown-up who speaks calmly. Boys are read as women, and so are many men who shout;
singing is taken for speech.</p>
<p>{description} Skin, eyes and brows are set to a neutral middle, and hair to the custom of the
nearest sex or to your choice: the voice says nothing about them. Every interval is meant to hold
the truth for 80 % of people.</p>
<p>Recordings are read where this page is served, never sent on and never used for training;
files are removed within the hour.</p>{measured}</section>"""


def measured(bundle: Bundle) -> str:
    """What the nets were measured to do on people kept out of their training."""
    told = [bundle.parts[name].results for name in MEASURED if name in bundle.parts]
    results = {key: value for results in told for key, value in results.items()}
    if not {"people", "sex", "errors", "coverage"} <= results.keys():
        return ""
    landmarks, held = results["errors"]["landmark_mm"], results["coverage"].values()
    notes = " ".join(escape(note) for note in bundle.notes)
    return (
        f"<h2>How well it was measured to do</h2><p>On {results['people']} synthetic people kept"
        f" out of training, the sex of the face was right for"
        f" {100 * results['sex']['mesh']['value']:.0f} % of voices. The landmarks were"
        f" {landmarks['system']:.2f} mm from the truth: the mean face of the right sex is"
        f" {landmarks['right_sex']:.2f} mm away, and the best possible listener would be"
        f" {landmarks['ceiling']:.2f} mm. The 80 % intervals held for {100 * min(held):.0f} to"
        f" {100 * max(held):.0f} % of people, by length. {notes}</p>"
    )


def device_name(whole: Pipeline) -> str:
    """Where the nets run, in words."""
    if whole.device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(whole.device)
    return whole.device.type.upper()
