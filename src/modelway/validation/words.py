"""Figures as a validator reads them."""


def number(value: float) -> str:
    """Four significant digits, no exponent where people would not write one."""
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def span(low: float | None, high: float | None) -> str:
    """An interval; an end that is not known is left open."""
    return f"{'?' if low is None else number(low)} to {'?' if high is None else number(high)}"


def count(n: int) -> str:
    return f"{n:,}"
