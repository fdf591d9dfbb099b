"""The Open Inference Protocol, V2, as a contract: what a server must answer over REST, whoever wrote it.

Subclass ServingChecks in a test module and give it the fixtures `url`, `model`, `rows` and `refused`. The requests are made here,
from the model's own metadata and not by our client, so that the two cannot be wrong together.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

Row = Mapping[str, Any]


class ServingChecks:
    """Each check takes the fixtures `url`, `model`, `rows` and `refused`.

    `url` is that of a server that is ready, `model` a name, `rows` are three or more that it answers, not all alike, and
    `refused` is a row with the same columns that it must not answer.
    """

    @pytest.fixture
    def client(self, url: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=url, timeout=20) as opened:
            yield opened

    @pytest.fixture
    def metadata(self, client: httpx.Client, model: str) -> dict[str, Any]:
        reply = client.get(f"/v2/models/{model}")
        assert reply.status_code == 200
        return reply.json()

    def request(self, metadata: Mapping[str, Any], rows: Sequence[Row], **more: Any) -> dict[str, Any]:
        """A request for the inputs that the rows have, in the metadata's datatypes."""
        inputs = [
            {
                "name": i["name"],
                "datatype": i["datatype"],
                "shape": [len(rows)],
                "data": [r.get(i["name"]) for r in rows],
            }
            for i in metadata["inputs"]
            if any(i["name"] in row for row in rows)
        ]
        return {"inputs": inputs, **more}

    def answered(self, client: httpx.Client, place: str, body: Mapping[str, Any]) -> dict[str, Any]:
        reply = client.post(f"{place}/infer", json=body)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json"), reply.text
        return reply.json()

    def refusal(self, reply: httpx.Response, status: int) -> str:
        """The text of an error in the protocol's form."""
        assert reply.status_code == status, reply.text
        told = reply.json()
        assert list(told) == ["error"]
        assert isinstance(told["error"], str)
        assert told["error"]
        return str(told["error"])

    @pytest.mark.parametrize("what", ["live", "ready"])
    def test_its_health_is_200(self, client: httpx.Client, what: str) -> None:
        assert client.get(f"/v2/health/{what}").status_code == 200

    def test_the_server_says_who_it_is(self, client: httpx.Client) -> None:
        told = client.get("/v2").json()
        assert all(isinstance(told[name], str) and told[name] for name in ("name", "version"))
        assert isinstance(told["extensions"], list)

    def test_the_model_says_what_it_takes_and_gives(
        self, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        assert metadata["name"] == model
        assert metadata["versions"]
        assert all(isinstance(version, str) for version in metadata["versions"])
        assert isinstance(metadata["platform"], str)
        for tensor in (*metadata["inputs"], *metadata["outputs"]):
            assert isinstance(tensor["name"], str)
            assert tensor["datatype"] in {"BOOL", "INT64", "FP64", "FP32", "BYTES"}
            assert tensor["shape"][0] == -1
        assert {i["name"] for i in metadata["inputs"]} >= set(rows[0])

    def test_the_model_and_each_version_are_ready(
        self, client: httpx.Client, metadata: dict[str, Any], model: str
    ) -> None:
        assert client.get(f"/v2/models/{model}/ready").status_code == 200
        for version in metadata["versions"]:
            assert client.get(f"/v2/models/{model}/versions/{version}/ready").status_code == 200
            assert client.get(f"/v2/models/{model}/versions/{version}").json()["name"] == model

    def test_an_answer_has_the_protocols_form(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        told = self.answered(client, f"/v2/models/{model}", self.request(metadata, rows, id="asked-1"))
        assert (told["model_name"], told["id"]) == (model, "asked-1")
        assert told["model_version"] in metadata["versions"]
        declared = {o["name"]: o["datatype"] for o in metadata["outputs"]}
        assert {o["name"]: o["datatype"] for o in told["outputs"]} == declared
        for output in told["outputs"]:
            assert (output["shape"], len(output["data"])) == ([len(rows)], len(rows))

    def test_a_request_without_an_id_gets_one(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        ids = [self.answered(client, f"/v2/models/{model}", self.request(metadata, rows))["id"] for _ in range(2)]
        assert all(ids)
        assert ids[0] != ids[1]

    def test_answers_are_in_the_order_of_the_rows_and_do_not_depend_on_one_another(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        place = f"/v2/models/{model}/versions/{metadata['versions'][0]}"

        def data(asked: Sequence[Row]) -> dict[str, list[Any]]:
            outputs = self.answered(client, place, self.request(metadata, asked))["outputs"]
            return {output["name"]: output["data"] for output in outputs}

        whole = data(rows)
        assert data(rows[::-1]) == {name: values[::-1] for name, values in whole.items()}
        assert data(rows[1:2]) == {name: values[1:2] for name, values in whole.items()}
        assert any(len(set(map(str, values))) > 1 for values in whole.values())

    def test_a_column_may_be_a_matrix_of_one(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        place = f"/v2/models/{model}/versions/{metadata['versions'][0]}"
        plain = self.request(metadata, rows)
        columns = [{**i, "shape": [len(rows), 1], "data": [[value] for value in i["data"]]} for i in plain["inputs"]]
        nested = {"inputs": columns}
        assert self.answered(client, place, nested)["outputs"] == self.answered(client, place, plain)["outputs"]

    def test_outputs_that_are_asked_for_come_alone(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        wanted = metadata["outputs"][-1]["name"]
        body = self.request(metadata, rows, outputs=[{"name": wanted}])
        assert [o["name"] for o in self.answered(client, f"/v2/models/{model}", body)["outputs"]] == [wanted]
        unknown = self.request(metadata, rows, outputs=[{"name": "no-such-output"}])
        assert "no-such-output" in self.refusal(client.post(f"/v2/models/{model}/infer", json=unknown), 400)

    def test_each_version_answers_when_it_is_named(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        for version in metadata["versions"]:
            told = self.answered(client, f"/v2/models/{model}/versions/{version}", self.request(metadata, rows))
            assert told["model_version"] == version

    def test_an_unknown_version_is_404(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        place = f"/v2/models/{model}/versions/999999"
        assert "999999" in self.refusal(client.post(f"{place}/infer", json=self.request(metadata, rows)), 404)
        self.refusal(client.get(place), 404)

    def test_an_unknown_model_is_404(self, client: httpx.Client, metadata: dict[str, Any], rows: list[Row]) -> None:
        for path in ("", "/ready"):
            assert "no-such-model" in self.refusal(client.get(f"/v2/models/no-such-model{path}"), 404)
        body = self.request(metadata, rows)
        assert "no-such-model" in self.refusal(client.post("/v2/models/no-such-model/infer", json=body), 404)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b'"text"',
            b"{}",
            b'{"inputs": 1}',
            b'{"inputs": [1]}',
            b'{"inputs": [{}]}',
            b'{"inputs": []}',
        ],
    )
    def test_what_is_no_request_is_400(self, client: httpx.Client, model: str, body: bytes) -> None:
        self.refusal(client.post(f"/v2/models/{model}/infer", content=body), 400)

    @pytest.mark.parametrize("change", [{"shape": [999]}, {"datatype": "COMPLEX"}, {"data": None}, {"shape": "x"}])
    def test_a_tensor_that_contradicts_itself_is_400_by_its_name(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row], change: dict[str, Any]
    ) -> None:
        body = self.request(metadata, rows)
        needed = next(i for i in body["inputs"] if not _optional(metadata, i["name"]))
        needed |= change
        assert needed["name"] in self.refusal(client.post(f"/v2/models/{model}/infer", json=body), 400)

    def test_an_input_that_is_needed_is_named_when_it_is_missing(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row]
    ) -> None:
        body = self.request(metadata, rows)
        for needed in [i["name"] for i in body["inputs"] if not _optional(metadata, i["name"])]:
            without = {"inputs": [i for i in body["inputs"] if i["name"] != needed]}
            assert needed in self.refusal(client.post(f"/v2/models/{model}/infer", json=without), 400)

    def test_a_refused_row_has_a_reason_and_no_numbers_and_harms_no_other(
        self, client: httpx.Client, metadata: dict[str, Any], model: str, rows: list[Row], refused: Row
    ) -> None:
        place = f"/v2/models/{model}/versions/{metadata['versions'][0]}"
        mixed = [rows[0], refused, *rows[1:]]
        found = {o["name"]: o["data"] for o in self.answered(client, place, self.request(metadata, mixed))["outputs"]}
        alone = {o["name"]: o["data"] for o in self.answered(client, place, self.request(metadata, rows))["outputs"]}
        assert {name: [*values[:1], *values[2:]] for name, values in found.items()} == alone
        assert found["reason"][1]
        assert set(alone["reason"]) == {""}
        assert {values[1] for name, values in found.items() if name != "reason"} == {None}

    def test_inference_is_asked_by_post_and_the_rest_by_get(self, client: httpx.Client, model: str) -> None:
        self.refusal(client.get(f"/v2/models/{model}/infer"), 405)
        self.refusal(client.post("/v2/health/live"), 405)


def _optional(metadata: Mapping[str, Any], name: str) -> bool:
    """V2 does not know inputs that may be left out; our server marks them in the tensor's parameters."""
    found = next(i for i in metadata["inputs"] if i["name"] == name)
    return bool(found.get("parameters", {}).get("optional", False))
