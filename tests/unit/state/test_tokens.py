"""Tokens by name: made, listed, revoked; their digests stand in the database, and every change in the ledger."""

from datetime import UTC, datetime

import pytest

from modelway.errors import NotFoundError, UsageError
from modelway.secrets.tokens import PREFIX, digest_of, is_token, make_token
from modelway.state import ledger, tokens
from modelway.state.withheld import withhold

AT = datetime(2026, 1, 1, tzinfo=UTC)


def made(name: str, role: str = "infer") -> tokens.Token:
    return tokens.Token(name, role, digest_of(make_token().encode()).hex(), "ann", AT)


def test_they_are_made_listed_and_revoked(database):
    first, second = made("checkout"), made("prometheus", "operate")
    for token in (second, first):
        tokens.add(database, token, "needed")
    withhold(database, "loans", [(0, 1, 2)], {})  # what else is kept beside them is none
    assert tokens.every(database) == (first, second)
    assert tokens.revoke(database, "checkout", "bob", "lost", AT) == first
    assert tokens.every(database) == (second,)
    told = [(e.who, e.action, e.subject, e.reason, e.data) for e in ledger.history(database)]
    assert told == [
        ("ann", "token new", "prometheus", "needed", {"role": "operate"}),
        ("ann", "token new", "checkout", "needed", {"role": "infer"}),
        ("bob", "token revoke", "checkout", "lost", {"role": "infer"}),
    ]
    assert ledger.verify(database) == 3


def test_a_name_is_taken_once_and_free_again_when_revoked(database):
    tokens.add(database, made("checkout"), "x")
    with pytest.raises(UsageError, match="already"):
        tokens.add(database, made("checkout"), "x")
    tokens.revoke(database, "checkout", "ann", "x", AT)
    tokens.add(database, made("checkout", "operate"), "x")  # at the same moment, as in a replay
    assert [token.role for token in tokens.every(database)] == ["operate"]
    assert len(ledger.history(database)) == 3


def test_what_is_not_there_cannot_be_revoked(database):
    with pytest.raises(NotFoundError, match="no token 'nobody'"):
        tokens.revoke(database, "nobody", "ann", "x", AT)
    assert ledger.history(database) == ()


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "ä", "x" * 49, "a\n"])
def test_a_name_that_is_none(database, name):
    with pytest.raises(UsageError, match="names no token"):
        tokens.add(database, made(name), "x")


def test_a_token_has_256_random_bits_and_goes_into_a_header():
    several = {make_token() for _ in range(100)}
    assert len(several) == 100
    assert all(is_token(token) and token.startswith(PREFIX) and len(token) == len(PREFIX) + 43 for token in several)
    asked = []
    make_token(lambda count: asked.append(count) or bytes(count))
    assert asked == [32]
    assert not any(map(is_token, ["", "a b", "a\n", "ä", "=a", "a,b"]))
