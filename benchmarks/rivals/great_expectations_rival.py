"""Great Expectations on pandas: result format COMPLETE, which names all rows and values."""

import json
import logging
import sys

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

from benchmarks.measure import tell, timed


def main() -> None:
    asked = json.loads(sys.argv[1])
    logging.disable(logging.CRITICAL)
    frame = pd.read_parquet(asked["file"])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batches = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset("loans")
        .add_batch_definition_whole_dataframe("all")
    )
    batch = batches.get_batch(batch_parameters={"dataframe": frame})
    suite = gx.ExpectationSuite(name="loans", expectations=_expectations(asked))
    found: dict[str, int] = {}

    def check() -> None:
        result = batch.validate(suite, result_format="COMPLETE")
        found.clear()
        for one in result.results:
            rows = one.result.get("unexpected_index_list", ())  # none for types, which are asked of the column
            column = one.expectation_config.kwargs["column"]
            found[column] = found.get(column, 0) + len(rows)

    time = timed(check, min(3, asked["repetitions"]), warm=False)
    tell({"time": time, "breaches": found})


def _expectations(asked: dict) -> list:
    made = [gxe.ExpectColumnValuesToBeUnique(column="id"), gxe.ExpectColumnValuesToBeOfType(column="id", type_="int64")]
    for number in range(asked["ranges"]):
        name = f"number_{number}"
        made.append(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=1_000))
        made.append(gxe.ExpectColumnValuesToBeOfType(column=name, type_="float64"))
        if number < asked["nulls"]:
            made.append(gxe.ExpectColumnValuesToNotBeNull(column=name))
    allowed = list(asked["allowed"])
    sets = [gxe.ExpectColumnValuesToBeInSet(column=name, value_set=allowed) for name in asked["words"]]
    texts = [gxe.ExpectColumnValuesToMatchRegex(column=name, regex=p) for name, p in asked["texts"].items()]
    return [*made, *sets, *texts]


if __name__ == "__main__":
    main()
