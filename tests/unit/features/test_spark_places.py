"""Where Spark finds tables in object storage, and what is said when it cannot read there."""

import pytest

from modelway.features.spark_driver import OutOfReachError, demand_reach
from modelway.features.spark_places import hadoop_address, hadoop_settings
from modelway.workspace import create_workspace


@pytest.mark.parametrize(
    ("address", "options", "found"),
    [
        ("/bank/lake/loans", {}, "/bank/lake/loans"),
        ("s3://bank/lake/loans", {"region": "eu"}, "s3a://bank/lake/loans"),
        ("az://box/lake/loans", {"account_name": "firm"}, "abfss://box@firm.dfs.core.windows.net/lake/loans"),
        ("az://box/lake/loans", {"azure_account_name": "firm"}, "abfss://box@firm.dfs.core.windows.net/lake/loans"),
        ("gs://bank/lake/loans", {}, "gs://bank/lake/loans"),
    ],
)
def test_addresses_are_those_of_hadoops_file_systems(address, options, found):
    assert hadoop_address(address, options) == found


def test_settings_of_an_s3_store_are_handed_on():
    options = {"endpoint": "http://s3:8333", "AWS_REGION": "eu", "aws_access_key_id": "k", "secret_access_key": "s"}
    assert hadoop_settings({**options, "allow_http": "true"}) == {
        "spark.hadoop.fs.s3a.endpoint": "http://s3:8333",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.endpoint.region": "eu",
        "spark.hadoop.fs.s3a.access.key": "k",
        "spark.hadoop.fs.s3a.secret.key": "s",
    }
    assert hadoop_settings({}) == {}


def test_a_place_that_this_spark_cannot_read_is_named_with_the_jar_for_it():
    demand_reach(["/bank/lake/loans", "hdfs://there/loans"], lambda name: "")
    demand_reach(["s3a://bank/loans"], lambda name: "3.5.0")
    version = "org.apache.hadoop.util.VersionInfo"
    with pytest.raises(OutOfReachError, match=r"s3a://bank/loans.*hadoop-aws:3\.5\.0") as caught:
        demand_reach(["/x", "s3a://bank/loans"], lambda name: "3.5.0" if name == version else "")
    assert "spark.jars.packages: org.apache.hadoop:hadoop-aws:3.5.0" in caught.value.fix


def test_a_workspace_tells_where_its_tables_lie(tmp_path):
    here = create_workspace(tmp_path / "here", "")
    assert here.table_address("loans") == str(here.places.inner.resolve() / "lake" / "loans")
    there = create_workspace(tmp_path / "there", "lake: {delta: {uri: 's3://bank/lake/', options: {region: eu}}}")
    assert there.table_address("loans") == "s3://bank/lake/loans"
    for one in (here, there):
        one.close()
