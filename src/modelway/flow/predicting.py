"""Every row of a table asked of the server; with none running, answered by the same version in this process."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from modelway.contracts.values import as_string
from modelway.errors import StateError
from modelway.flow.releasing import no_accepted_version
from modelway.flow.reporting import server_address
from modelway.flow.runs import Tell
from modelway.registry import versions
from modelway.rollout import store
from modelway.state import champions
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import httpx

    from modelway.serving.servable import Servable

_READY_SECONDS = 20.0
"""How long a server that has just started is given to take up a version that was released."""
_POLL_SECONDS = 0.05
_DECIDED = (200, 401, 403)
"""The model is there; or the request itself will be told why this client may not ask."""


@dataclass(frozen=True)
class Answers:
    """One row an input row, in order: the key, `prediction`, `probability_<class>` or `score`, `reason`, `version`."""

    rows: pl.DataFrame
    version: int
    """The version that answered most rows."""
    refused: int
    local: bool
    """Whether this process answered, since no server is running; then nothing was logged."""

    def summary(self) -> dict[str, Any]:
        return {
            "rows": self.rows.height,
            "refused": self.refused,
            "version": self.version,
            "versions": sorted(set(self.rows["version"].to_list())),
            "local": self.local,
        }


def predict_rows(workspace: Workspace, model: str, frame: pl.DataFrame, tell: Tell) -> Answers:
    """Predictions for every row; a row that is refused gets a reason.

    Raises StateError naming the next command when no version serves yet, DataError when a column is missing.
    """
    spec, number = workspace.spec(model), serving_version(workspace, model)
    rows = frame.to_dicts()
    url = server_address(workspace)
    made: list[dict[str, Any]] = []
    if rows:
        made = (
            _local(workspace, model, number, rows, tell) if url is None else _asked(workspace, url, model, rows, tell)
        )
    columns = _columns(made)
    key = [_identifier(frame[spec.data.key])] if spec.data.key and spec.data.key in frame.columns else []
    answered = columns["version"].to_list()
    return Answers(
        rows=pl.DataFrame([*key, *columns.get_columns()]),
        version=max(set(answered), key=answered.count) if answered else number,
        refused=columns["prediction"].null_count(),
        local=url is None,
    )


def serving_version(workspace: Workspace, model: str) -> int:
    """The champion; before there is one, the version that was released and waits for nothing but a control loop."""
    with workspace.database.read() as connection:
        champion = champions.champion(connection, model)
    if champion is not None:
        return champion
    asked = store.open_release(workspace.database, model)
    if asked is not None and workspace.spec(model).release.approval == "none":
        return asked.version
    if asked is not None:
        raise StateError(f"{model}@{asked.version} waits for its approval", f"modelway approve {model}")
    if versions.newest_accepted(workspace.database, model) is not None:
        raise StateError(f"no version of {model} was released yet", f"modelway release {model}")
    raise no_accepted_version(workspace, model)


def _asked(
    workspace: Workspace, url: str, model: str, rows: Sequence[dict[str, Any]], tell: Tell
) -> list[dict[str, Any]]:
    import httpx

    from modelway.flow.access import sent
    from modelway.serving.client import infer
    from modelway.serving.tls import knowing

    tls = workspace.stack.serving.tls
    verify = knowing(workspace.places.root / tls.certificate) if tls else True
    with httpx.Client(timeout=60.0, verify=verify, headers=sent(workspace)) as client:
        _wait_ready(client, url, model)
        return infer(
            client, url, model, rows, request=uuid.uuid4().hex, tell=lambda done: tell("predicting", done / len(rows))
        )


def _wait_ready(client: "httpx.Client", url: str, model: str) -> None:
    """Until the server has taken the model up, or the time is over: then its own answer says what is wrong."""
    import httpx

    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        try:
            if client.get(f"{url}/v2/models/{model}/ready").status_code in _DECIDED:
                return
        except httpx.TransportError:
            pass  # it is being started again: the request itself is tried several times
        time.sleep(_POLL_SECONDS)


def _local(
    workspace: Workspace, model: str, number: int, rows: Sequence[dict[str, Any]], tell: Tell
) -> list[dict[str, Any]]:
    """The same bytes in, the same bytes out, without a server between."""
    from modelway.flow.serving import loader
    from modelway.serving import client

    servable = loader(workspace)(versions.get(workspace.database, model, number).digest, model, number)
    made: list[dict[str, Any]] = []
    for start in range(0, len(rows), client.CHUNK):
        made += _answered(servable, rows[start : start + client.CHUNK], workspace)
        tell("predicting", len(made) / len(rows))
    return made


def _answered(servable: "Servable", rows: Sequence[dict[str, Any]], workspace: Workspace) -> list[dict[str, Any]]:
    from modelway.serving import protocol, replies, tensors
    from modelway.serving.answer import answer_rows

    names = list(rows[0])
    body = protocol.format_request({name: [row[name] for row in rows] for name in names})
    asked = tensors.read_rows(protocol.parse_request(body), servable.required, servable.optional)
    servable.upto()
    answers = answer_rows(servable, [f"local/{n}" for n in range(len(asked))], asked, workspace.clock.now())
    return replies.parse_answers(replies.format_answers(servable, "local", answers, {}, servable.outputs))


def _identifier(given: pl.Series) -> pl.Series:
    """The key as it is written everywhere: a file may hold whole numbers as doubles, and 6001 is not to come back as 6001.0."""
    if not given.dtype.is_float():
        return given
    return pl.Series(given.name, [as_string(value) for value in given.to_list()], pl.String)


def _columns(made: Sequence[dict[str, Any]]) -> pl.DataFrame:
    classes = list(dict.fromkeys(name for one in made for name in one["probabilities"]))
    said = [one["prediction"] for one in made]
    words = any(isinstance(value, str) for value in said)
    return pl.DataFrame(
        [
            pl.Series("prediction", said, pl.String if words or classes else pl.Float64),
            *(
                pl.Series(f"probability_{name}", [one["probabilities"].get(name) for one in made], pl.Float64)
                for name in classes
            ),
            *([pl.Series("score", [one["score"] for one in made], pl.Float64)] if made and "score" in made[0] else []),
            pl.Series("reason", [one["reason"] or None for one in made], pl.String),
            pl.Series("version", [one["version"] for one in made], pl.Int64),
        ]
    )
