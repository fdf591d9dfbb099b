"""What a column of text holds: categories, numbers kept as text, free text, nearly unique strings."""

import polars as pl

from modelway.files.texts import CODE
from modelway.scaffold.columns import Facts
from modelway.scaffold.decisions import Decision

_SIGNED_NUMBER = r"^[-+(]?\s*[$€£¥]?\s*[-+]?\d[\d,.'\x{2009} ]*\s*(?:%|[kKmMbB]|[$€£¥]|[A-Za-z]{1,4}\.?)?\)?$"
_SIGN = r"[$€£¥%,.'\x{2009} ]|\d[A-Za-z]"
RARE = 5
"""A category with fewer rows than this teaches nothing."""


def numbers_kept_as_text(values: pl.Series) -> bool:
    """Whether (nearly) all are numbers with signs, such as `1,234`, `$5` or `12 %`."""
    seen = values.drop_nulls()
    if seen.is_empty() or seen.str.contains(CODE).any():
        return False
    signed, marked = seen.str.contains(_SIGNED_NUMBER), seen.str.contains(_SIGN)
    return int(signed.sum()) >= 0.95 * len(seen) and int(marked.sum()) >= 0.3 * len(seen)


def unusable(facts: Facts) -> str:
    """Why a column of text cannot be a category; "" when it can."""
    seen = facts.values.drop_nulls()
    if facts.distinct > 20 and numbers_kept_as_text(facts.values):
        return f"numbers kept as text, for example {seen[0]!r}: write plain numbers in the file, then run modelway new again"
    if facts.present >= 20 and facts.distinct >= 0.9 * facts.present:
        return f"nearly every row has its own text ({facts.distinct} different ones in {facts.present} rows)"
    words = int(seen.str.count_matches(r"\s+").sum()) / max(1, len(seen)) + 1
    if words > 5 and facts.distinct > 0.5 * facts.present:
        return f"free text (about {words:.0f} words a row)"
    if facts.distinct > 20:
        counts = seen.value_counts()["count"]
        common = float(counts.filter(counts >= RARE).sum()) / facts.present
        if common < 0.5:
            return f"{facts.distinct} categories, most of them in fewer than {RARE} rows"
    return ""


def remarks(facts: Facts) -> list[Decision]:
    """What a user should know about a category."""
    name, found = facts.name, []
    seen = facts.values.drop_nulls()
    if numbers_kept_as_text(facts.values):
        found.append(
            Decision(
                name,
                "kept as text",
                f"numbers written with signs, for example {seen[0]!r}",
                "write plain numbers in the file, then run modelway new again",
            )
        )
    elif seen.str.contains(r"^[+-]?\d+$").all():
        found.append(
            Decision(
                name,
                "a category, not a number",
                "digits with leading zeros, or too many: a code",
                f"contract: {name}: {{type: float}}",
            )
        )
    alike = facts.distinct - seen.str.to_lowercase().n_unique()
    if alike > 0 and facts.distinct <= 1000:
        found.append(
            Decision(
                name,
                "spellings are kept apart",
                f"{alike} value{' differs' if alike == 1 else 's differ'} from another in case only",
                "write them alike in the file",
            )
        )
    if facts.distinct > 200:
        found.append(
            Decision(
                name,
                f"a category of {facts.distinct} values",
                "the 200 commonest have a code each, all others share one",
                "max_categories in model.py, or data.ignore",
            )
        )
    return found
