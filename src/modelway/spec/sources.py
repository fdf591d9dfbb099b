"""The text of the Python files that features name, read when modelway.yaml is: what is kept with a version is the text itself."""

from pathlib import Path

from modelway.spec.document import Mistake
from modelway.spec.model import Feature, Spec


def with_sources(spec: Spec, folder: Path) -> tuple[Spec, list[Mistake]]:
    """The spec with `source` filled in, and what cannot be read."""
    features, mistakes = dict(spec.features), list[Mistake]()
    for name, feature in spec.features.items():
        if feature.python is None or feature.source:  # a member's was read with the member
            continue
        place = ("features", name, "python")
        file, _, function = feature.python.rpartition(":")
        if not file or not function.isidentifier():
            mistakes.append(
                Mistake(place, f"{feature.python!r} names no function", "write for example features.py:risk")
            )
            continue
        try:
            features[name] = _with_source(feature, (folder / file).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "not UTF-8"
            mistakes.append(Mistake(place, f"{file} cannot be read: {told}", f"put {file} beside modelway.yaml"))
    return spec.model_copy(update={"features": features}), mistakes


def _with_source(feature: Feature, source: str) -> Feature:
    return feature.model_copy(update={"source": source})
