"""What every adapter of secrets must keep: subclass SecretsChecks in a test module and give it `secrets` and `put`."""

import logging
from collections.abc import Callable

import pytest

from modelway.errors import NotFoundError
from modelway.secrets.port import Secrets

Put = Callable[[str, str], object]
"""Keeps a value under a name, as an operator would; "" takes it away."""
VALUE = 's3cret-välue: with "quotes" and = signs'


def _shown(error: BaseException) -> str:
    """All that a log of the error would show, its causes included."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return " ".join(f"{one} {one!r}" for one in chain)


class SecretsChecks:
    """Each check takes the fixtures `secrets` and `put`; at the start there is no secret."""

    def test_what_was_kept_is_given(self, secrets: Secrets, put: Put) -> None:
        put("state_password", VALUE)
        put("webhook_oncall", "another")
        assert secrets.get("state_password") == VALUE
        assert secrets.get("webhook_oncall") == "another"

    def test_a_name_may_be_written_in_several_ways(self, secrets: Secrets, put: Put) -> None:
        put("webhook_on_call", VALUE)
        assert {secrets.get(name) for name in ("webhook_on-call", "Webhook.On Call")} == {VALUE}

    def test_a_value_is_asked_anew_each_time(self, secrets: Secrets, put: Put) -> None:
        put("state_password", "old")
        assert secrets.get("state_password") == "old"
        put("state_password", VALUE)
        assert secrets.get("state_password") == VALUE

    @pytest.mark.parametrize("taken", [False, True])
    def test_what_is_not_there_is_not_found_by_its_place(self, secrets: Secrets, put: Put, taken: bool) -> None:
        if taken:
            put("state_password", VALUE)
            put("state_password", "")
        with pytest.raises(NotFoundError) as raised:
            secrets.get("state_password")
        assert secrets.place("state_password") in raised.value.problem
        assert raised.value.fix

    def test_places_of_different_names_differ(self, secrets: Secrets) -> None:
        assert secrets.place("webhook_a") != secrets.place("webhook_b")

    def test_no_repr_error_or_log_shows_a_value(
        self, secrets: Secrets, put: Put, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        put("state_password", VALUE)
        assert secrets.get("state_password") == VALUE
        with pytest.raises(NotFoundError) as raised:
            secrets.get("state_passwords")
        told = f"{secrets!r} {secrets} {_shown(raised.value)} {caplog.text} {secrets.place('state_password')}"
        assert VALUE not in told
        assert VALUE not in repr(vars(secrets) if hasattr(secrets, "__dict__") else "")

    def test_ping_returns(self, secrets: Secrets) -> None:
        secrets.ping()
