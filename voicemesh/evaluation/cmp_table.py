"""The figures of Cross-Modal Perceptionist as lines of text."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .bootstrap import Estimate


def table(results: Mapping[str, Any]) -> str:
    """The figures as lines of text."""
    lines = [f"{results['recordings']} recordings of {results['people']} people", ""]
    lines += geometric(results)
    if "pictured" in results:
        lines += ["", *branches(results)]
    both = results["coherence"]
    lines += [
        "",
        f"sex by mesh  {told(results['sex']['mesh'])}; by all meshes of a person together"
        f" {told(results['sex']['person'])}",
        f"sex by odds  {told(results['sex']['odds'])}",
    ]
    if both:
        lines.append(
            f"coherence    {both['same_mm']:.2f} mm one speaker, {both['different_mm']:.2f} mm two:"
            f" ratio {both['ratio']:.2f} (within one sex {both['ratio_within_sex']:.2f})"
        )
    if "raised" in results:
        lines.append(f"raised voice {told(results['raised']['mesh'])} sex by mesh")
    for name, entry in results.get("nulls", {}).items():
        lines.append(f"null {name:<18}{told(entry)}")
    lines += covered(results)
    if "together" in results:
        lines += ["", *together(results)]
    return "\n".join(lines)


def together(results: Mapping[str, Any]) -> list[str]:
    """All recordings of everyone heard together."""
    whole = results["together"]
    count, days = whole["recordings_each"], whole["days"]
    lines = [
        f"Together: {count} recordings of {days} days, {whole['seconds']:.1f} s of sound of each of"
        f" {whole['people']} people",
        "",
        *geometric(whole),
        "",
        f"sex by mesh  {told(whole['sex']['mesh'])}; of one recording"
        f" {told(results['sex']['mesh'])}",
    ]
    for name, entry in whole["voice"].items():
        alone = results["voice"][name]
        both = " and ".join(
            f"{entry[sex]['value']:.3f} ({alone[sex]['value']:.3f}) of {sex}" for sex in entry
        )
        lines.append(f"{name:<13}explained within a sex, of one recording in brackets: {both}")
    return lines + covered(whole)


def geometric(results: Mapping[str, Any]) -> list[str]:
    """Errors against their rivals, and what is explained of every measure."""
    lines = [f"{'error':<14}{'system':>8}{'mean':>8}{'sex':>8}{'ceiling':>9}  gain over sex"]
    for name, entry in results["errors"].items():
        rivals = [entry[k] for k in ("system", "mean_face", "right_sex")]
        figures = "".join(f"{value:>8.4f}" for value in rivals)
        ceiling = f"{entry['ceiling']:>9.4f}" if "ceiling" in entry else " " * 9
        gain = entry["gain_over_right_sex"]
        lines.append(
            f"{name:<14}{figures}{ceiling}"
            f"  {gain['value']:+.5f} [{gain['low']:+.5f}, {gain['high']:+.5f}]"
        )
    lines += ["", f"{'measure':<22}{'explained':<24}{'ceiling':>8}  within sex (ceiling)"]
    for name, entry in results["measures"].items():
        ceiling = f"{entry['ceiling']:>8.3f}" if "ceiling" in entry else " " * 8
        most = f" ({entry['ceiling_within_sex']:.3f})" if "ceiling" in entry else ""
        lines.append(
            f"{name:<22}{told(entry['explained']):<24}{ceiling}"
            f"  {told(entry['explained_within_sex'])}{most}"
        )
    return lines


def covered(results: Mapping[str, Any]) -> list[str]:
    """How often the intervals hold."""
    if "coverage" not in results:
        return []
    shares = results["coverage"].values()
    return [
        f"80 % intervals cover {np.mean(list(shares)):.1%}"
        f" ({min(shares):.1%} to {max(shares):.1%} by measure)"
    ]


def told(entry: Mapping[str, float]) -> str:
    """A figure with its interval."""
    return str(Estimate(**entry))


def branches(results: Mapping[str, Any]) -> list[str]:
    """Voice to mesh and voice to picture to mesh beside the ceiling, as lines of text.

    Gains over the mean face are shares of its error, with their intervals.
    """
    lines = [
        f"{'error':<14}{'mean face':>10}  {'supervised: gain':<25}{'by picture: gain':<25}ceiling"
    ]
    for name, entry in results["errors"].items():
        usual, shown = entry["mean_face"], []
        for branch in (results, results["pictured"]):
            gain = branch["errors"][name]["gain_over_mean_face"]
            share, low, high = (gain[key] / usual for key in ("value", "low", "high"))
            shown.append(f"{share:+.1%} [{low:+.1%}, {high:+.1%}]")
        most = f"{1 - entry['ceiling'] / usual:+.1%}" if "ceiling" in entry else ""
        lines.append(f"{name:<14}{usual:>10.4f}  {shown[0]:<25}{shown[1]:<25}{most}")
    lines.append(f"{'measure':<24}  {'supervised: explained':<25}{'by picture':<25}ceiling")
    for name, entry in results["measures"].items():
        both = (results, results["pictured"])
        shown = [told(branch["measures"][name]["explained"]) for branch in both]
        most = f"{entry['ceiling']:.3f}" if "ceiling" in entry else ""
        lines.append(f"{name:<24}  {shown[0]:<25}{shown[1]:<25}{most}")
    sexes = [told(branch["sex"]["mesh"]) for branch in (results, results["pictured"])]
    lines.append(f"{'sex by mesh':<24}  {sexes[0]:<25}{sexes[1]:<25}")
    shared = results["agreement"]
    lines.append(f"both branches: one sex {told(shared['sex'])}, {shared['mm']:.2f} mm apart")
    return lines
