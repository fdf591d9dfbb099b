#!/usr/bin/env bash
# Makes the environment $1 with Spark (pyspark, and the jars of Delta and Kafka): its Python is what stack.yaml names for features
# on Spark. An environment of its own, since Spark's libraries are not ours. Needs Java 17 and Maven.
set -euo pipefail
venv=${1:?the folder of the environment to make} python=${2:-3.11}
for tool in java mvn; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed: Spark needs Java 17, and its jars come by Maven" >&2; exit 1; }
done
unset PYTHONDONTWRITEBYTECODE
here=$(cd "$(dirname "$0")/.." && pwd)
boot=$here/.venv-uv
command -v uv >/dev/null || { [ -x "$boot/bin/uv" ] || { python3 -m venv "$boot" && "$boot/bin/pip" install --quiet uv; }; PATH="$boot/bin:$PATH"; }
uv venv --quiet --allow-existing --python "$python" "$venv"
uv pip install --quiet --python "$venv/bin/python" --compile-bytecode --require-hashes -r "$here/requirements/spark.txt"
jars=$("$venv/bin/python" -c 'import pathlib, pyspark; print(pathlib.Path(pyspark.__file__).parent / "jars")')
mvn --quiet --batch-mode -f "$here/tools/spark/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars"
touch "$venv/.spark-ready"
