"""Where a lake lies: what stack.yaml says of it, and that the clients of Azure and Google (no server here) get their options."""

import base64
import json
import socket

import pytest

from modelway.errors import LakeError, NotFoundError, SpecError
from modelway.lake.delta import DeltaLake
from modelway.lake.delta.bucket import Bucket, first_line
from modelway.lake.delta.opening import place_of
from modelway.lake.delta.places import Folder
from modelway.spec.load import load_stack
from modelway.testing.lake import lake_rows
from modelway.workspace import create_workspace

STACK = """\
lake:
  delta:
    uri: {uri}
    options: {{endpoint: "http://127.0.0.1:1", region: eu-central-1, access_key_id: a, max_retries: 1}}
    secrets: {{secret_access_key: lake_key}}
"""


def test_an_address_says_whether_tables_lie_in_a_folder_or_in_a_bucket(tmp_path):
    assert isinstance(place_of(tmp_path, {}), Folder)
    assert place_of(f"file://{tmp_path}", {}).uri("loans") == f"{tmp_path}/loans"
    for address in ("s3://lake/a", "az://lake/a", "abfss://lake@bank.dfs.core.windows.net/a", "gs://lake/a"):
        place = place_of(address + "/", {"region": "x"})
        assert isinstance(place, Bucket)
        assert place.uri("loans", "_delta_log/1.json") == f"{address}/loans/_delta_log/1.json"
        assert place.options == {"region": "x"}


def test_the_stack_names_the_place_its_options_and_its_secrets(tmp_path, monkeypatch):
    workspace = create_workspace(tmp_path, STACK.format(uri="s3://lake/bank"))
    with pytest.raises(NotFoundError, match="MODELWAY_LAKE_KEY"):
        workspace.lake.tables()
    monkeypatch.setenv("MODELWAY_LAKE_KEY", "hunter2")
    place = workspace.lake.handles.place  # type: ignore[attr-defined]
    assert place.options["secret_access_key"] == "hunter2"
    assert place.options["region"] == "eu-central-1"
    assert place.options["allow_http"] == "true"
    with pytest.raises(LakeError, match=r"s3://lake/bank.* does not answer") as caught:
        workspace.lake.append("loans", lake_rows(1))
    assert "hunter2" not in str(caught.value)
    workspace.close()


def test_a_lake_in_another_folder(tmp_path):
    workspace = create_workspace(tmp_path / "bank", f"lake: {{delta: {{uri: {tmp_path}/lake}}}}\n")
    workspace.lake.append("loans", lake_rows(1))
    assert (tmp_path / "lake" / "loans").is_dir()
    workspace.close()


@pytest.mark.parametrize("option", ["secret_access_key", "aws_session_token", "account_key", "sas_key", "password"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path, option):
    path = tmp_path / "stack.yaml"
    path.write_text(f"lake: {{delta: {{uri: s3://lake, options: {{{option}: hunter2}}}}}}\n")
    with pytest.raises(SpecError) as caught:
        load_stack(path)
    assert f"secrets: {{{option}: NAME}}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def google(port: int) -> dict[str, str]:
    account = {
        "gcs_base_url": f"http://127.0.0.1:{port}",
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    return {"service_account_key": json.dumps(account), "allow_http": "true", "max_retries": "1"}


def azure(port: int) -> dict[str, str]:
    key = base64.b64encode(b"key").decode()
    return {"account_name": "bank", "account_key": key, "endpoint": f"http://127.0.0.1:{port}", "max_retries": "1"}


@pytest.mark.parametrize(("address", "options"), [("az://lake/a", azure), ("gs://lake/a", google)])
def test_options_reach_the_client_of_azure_and_of_google(address, options):
    """It asks at the address that the options name: nobody is there, and that is what we are told."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        lake = DeltaLake(address, options(nobody.getsockname()[1]))
        with pytest.raises(LakeError, match=f"{address}.* does not answer") as caught:
            lake.append("loans", lake_rows(1))
    assert caught.value.transient


def test_a_librarys_line_is_told_without_colours_and_signatures():
    error = OSError("\x1b[31mError\x1b[0m at https://x/y?sig=abc&se=1 (403)\nbacktrace")
    assert first_line(error) == "Error at https://x/y (403)"
    nested = OSError(
        "Generic S3 error\n  \x1b[31m↳\x1b[0m Error performing GET\n   \x1b[31m↳\x1b[0m Missing AccessKeyId\n"
    )
    assert first_line(nested) == "Generic S3 error: Missing AccessKeyId"
