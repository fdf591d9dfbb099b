"""Where Spark finds the lake's tables: addresses and settings of object stores as Hadoop's file systems know them."""

from collections.abc import Mapping

_S3A = "spark.hadoop.fs.s3a."
_NAMES = {
    "endpoint": "endpoint",
    "endpoint_url": "endpoint",
    "region": "endpoint.region",
    "access_key_id": "access.key",
    "secret_access_key": "secret.key",
    "session_token": "session.token",
}
"""Options of a lake on S3, with or without `aws_` before them, and what Hadoop calls them."""


def hadoop_address(address: str, options: Mapping[str, str]) -> str:
    """A folder stays what it is; `s3://` is `s3a://` there, and `az://CONTAINER` names the account too."""
    scheme, found, rest = address.partition("://")
    if found and scheme == "s3":
        return f"s3a://{rest}"
    if found and scheme in ("az", "azure") and (account := _plain(options, "azure_").get("account_name")):
        container, _, path = rest.partition("/")
        return f"abfss://{container}@{account}.dfs.core.windows.net/{path}"
    return address


def hadoop_settings(options: Mapping[str, str]) -> dict[str, str]:
    """Spark's settings for a lake on S3; for other stores they are given in stack.yaml, as spark.hadoop.…"""
    plain = _plain(options, "aws_")
    found = {_S3A + _NAMES[name]: value for name, value in plain.items() if name in _NAMES}
    if _S3A + "endpoint" in found:  # a store of one's own has no name for each bucket
        found[_S3A + "path.style.access"] = "true"
    return found


def _plain(options: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.lower().removeprefix(prefix): value for name, value in options.items()}
