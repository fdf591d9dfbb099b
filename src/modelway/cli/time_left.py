"""How long a stage of work will take yet, from the shares of it that were seen done."""

_TRUSTED_SECONDS = 2.0
"""Before that, and before anything was done, nothing is said."""


class TimeLeft:
    """Of one stage: at the pace since it was first looked at, so that what an earlier process did does not count."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def seconds(self, share: float, now: float) -> float | None:
        """None while it cannot be known; `now` in seconds of any steady clock."""
        if self._first is None:
            self._first = (share, now)
        begun, since = self._first
        if now - since < _TRUSTED_SECONDS or share <= begun:
            return None
        return max(0.0, (now - since) * (1.0 - share) / (share - begun))


def spoken(seconds: float) -> str:
    """As people say it: 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
