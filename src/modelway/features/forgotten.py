"""Online values do not answer for a time that they no longer hold: a window would be too small, without a word."""

from modelway.errors import DataError
from modelway.expressions.values import EPOCH
from modelway.features.online import FAR, Look


def demand_kept(look: Look, forgotten: int | None) -> None:
    """Raise DataError when a window reaches back to before the moment up to which events were forgotten."""
    if forgotten is None or look.since >= forgotten - 1 or look.since <= FAR:
        return
    from datetime import timedelta

    since, kept = (EPOCH + timedelta(microseconds=us) for us in (look.since, forgotten))
    raise DataError(
        f"a window of this row reaches back to {since:%Y-%m-%d %H:%M}, and online values are kept since {kept:%Y-%m-%d %H:%M}",
        "ask within the time that stack.yaml's `online.late` allows, or lengthen it",
    )
