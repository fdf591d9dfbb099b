"""A release, or an experiment, as shares of the requests; pure."""

from collections.abc import Mapping

from modelway.records import Experiment, Release, Route
from modelway.rollout.standing import watched


def route_for(model: str, release: Release | None, champion: int | None, digests: Mapping[int, str]) -> Route | None:
    """The route that the latest release and the champion ask for; None where nothing can answer yet.

    `digests`: manifest by version number. While a challenger answers some requests, `shadow` still names it: whichever of
    the two did not answer a request answers it in shadow, so that pairs go on at any weight. While a release that is full is
    watched, the former champion is the shadow.
    """
    if champion is None:
        return None
    shares, shadow, names = {champion: 1.0}, None, {"champion": champion}
    if release is not None and release.version != champion and release.state in ("shadow", "canary"):
        shadow = names["challenger"] = release.version
        if release.state == "canary":
            shares = {champion: 1.0 - release.weight, shadow: release.weight}
    elif release is not None and release.version == champion and watched(release):
        shadow = release.champion
        if shadow is not None:
            names["former"] = shadow
    named = {champion, *shares, *([] if shadow is None else [shadow])}
    return Route(
        model,
        {str(version): share for version, share in sorted(shares.items())},
        {str(version): digests[version] for version in sorted(named)},
        shadow,
        names=names,
    )


def experiment_route(experiment: Experiment, digests: Mapping[int, str]) -> Route:
    """Each arm its share, in the slice that it has from the beginning; a stopped arm's slice is the champion's."""
    asked = {int(version): share for version, share in experiment.shares.items()}
    champion, rest = experiment.champion, 1.0 - sum(asked.values())
    slices = [
        (champion if str(version) in experiment.stopped else version, asked[version]) for version in sorted(asked)
    ]
    slices.append((champion, rest))
    shares: dict[int, float] = {}
    for version, share in slices:
        shares[version] = shares.get(version, 0.0) + share
    return Route(
        experiment.model,
        {str(version): share for version, share in sorted(shares.items())},
        {str(version): digests[version] for version in sorted(shares)},
        names={"champion": champion},
        slices=tuple(slices),
        salt=f"experiment {experiment.id}",
    )
