"""Tables in object storage: S3 and what speaks like it (`s3://`), Azure (`az://`, `abfss://`), Google (`gs://`).

A commit is put where nothing may lie yet (If-None-Match), so of two writers of one version the store refuses the later:
no table of locks is needed, and `ping` proves that the store keeps this promise.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any
from uuid import uuid4

import polars as pl

from modelway.errors import EngineError, LakeError
from modelway.lake.delta.places import Found, Place

_CLOSED = re.compile(r"403 Forbidden|401 Unauthorized|necessary privileges|Unauthenticated|not authorized", re.I)
_ABSENT = re.compile(r"NoSuchBucket|BucketNotFound|ContainerNotFound|specified bucket does not exist", re.I)
_SILENT = re.compile(
    r"error sending request|tcp connect|connection (refused|reset|closed)|timed? ?out|dns error"
    r"|5\d\d (internal|bad gateway|service|gateway)|SlowDown|429 too many",
    re.I,
)
_REASON = re.compile(r"<Code>(\w+)</Code>")


class Bucket(Place):
    """Tables under an address such as `s3://bucket/prefix`; `options` as object stores know them (endpoint, region, …)."""

    cheap = False

    def __init__(self, root: str, options: Mapping[str, str]) -> None:
        self._root = root.rstrip("/")
        plain = options.get("endpoint", options.get("aws_endpoint_url", "")).startswith("http://")
        self.options = {"allow_http": "true", **options} if plain else dict(options)

    def __repr__(self) -> str:
        return f"Bucket({self._root})"

    def uri(self, table: str, name: str = "") -> str:
        return "/".join(part for part in (self._root, table, name) if part)

    def prepare(self, table: str, bytes_to_write: int) -> None:
        """A bucket has room."""

    def tables(self) -> list[str]:
        from pyarrow.fs import FileType

        with self._mapped():
            found = [entry.path for entry in self._listed("") if entry.type == FileType.Directory]
            names = [path.strip("/") for path in found]
            return sorted(name for name in names if not name.startswith(".") and self.commits(name))

    def commits(self, table: str) -> dict[int, int]:
        found = {entry.base_name.partition("."): entry.size for entry in self._listed(f"{table}/_delta_log")}
        return {int(stem): size for (stem, _, kind), size in sorted(found.items()) if stem.isdigit() and kind == "json"}

    def read(self, table: str, name: str) -> bytes | None:
        try:
            with self._files.open_input_file(f"{table}/{name}") as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def has(self, table: str, name: str) -> bool:
        from pyarrow.fs import FileType

        return bool(self._files.get_file_info(f"{table}/{name}").type == FileType.File)

    def sizes(self, table: str, names: Sequence[str]) -> list[int | None]:
        there = self.listing(table)
        return [there[name].size if name in there else None for name in names]

    def listing(self, table: str) -> dict[str, Found]:
        return {
            entry.path.removeprefix(f"{table}/"): Found(entry.size, (entry.mtime_ns or 0) / 1e9)
            for entry in self._listed(table, recursive=True)
            if entry.size is not None
        }

    def write(self, table: str, name: str, content: bytes) -> None:
        out = self._handler._handler.open_output_stream(
            f"{table}/{name}"
        )  # its public form takes no bytes (deltalake 1.6)
        out.write(content)
        out.close()

    def remove(self, table: str, names: Sequence[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                self._files.delete_file(f"{table}/{name}")

    def trouble(self, table: str, error: BaseException) -> EngineError | None:
        text, where = str(error), self.uri(table)
        reason = found.group(1) if (found := _REASON.search(text)) else ""
        if _ABSENT.search(text):
            return LakeError(f"{where}: there is no such bucket", "make it, or correct lake.delta.uri in stack.yaml")
        if _CLOSED.search(text):
            why = f" ({reason})" if reason else ""
            return LakeError(f"{where}: the store refuses us{why}", "look at lake.delta.secrets in stack.yaml")
        if _SILENT.search(text):
            return LakeError(f"{where}: the store does not answer", "see `modelway doctor`", transient=True)
        return None

    def ping(self) -> None:
        """Two commits of one version: the store must refuse the second, or writers would undo one another."""
        from deltalake import CommitProperties, DeltaTable, write_deltalake
        from deltalake.exceptions import CommitFailedError

        name, row, once = f".ping-{uuid4().hex}", pl.DataFrame({"x": [1]}), CommitProperties(max_commit_retries=0)
        with self._mapped():
            write_deltalake(self.uri(name), row, storage_options=dict(self.options))
            try:
                two = [DeltaTable(self.uri(name), storage_options=dict(self.options)) for _ in range(2)]
                write_deltalake(two[0], row, mode="append", commit_properties=once)
                try:
                    write_deltalake(two[1], row, mode="append", commit_properties=once)
                except CommitFailedError:
                    return
            finally:
                self._files.delete_dir(name)
        raise LakeError(
            f"{self._root}: the store takes two commits of one version (it ignores If-None-Match)",
            "use a store with conditional writes",
        )

    def demand_access(self, table: str) -> None:
        """`ping` wrote and removed under the same address."""

    def _listed(self, place: str, *, recursive: bool = False) -> list[Any]:
        from pyarrow.fs import FileSelector

        return list(self._files.get_file_info(FileSelector(place, recursive=recursive, allow_not_found=True)))

    @cached_property
    def _files(self) -> Any:
        from pyarrow.fs import PyFileSystem

        return PyFileSystem(self._handler)

    @cached_property
    def _handler(self) -> Any:
        from deltalake.fs import DeltaStorageHandler

        return DeltaStorageHandler(self._root, dict(self.options))

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError) as error:
            raise self.trouble("", error) or LakeError(
                f"{self._root}: {first_line(error)}", "see stack.yaml"
            ) from error


def first_line(error: BaseException) -> str:
    """The library's first line and its last cause, without colours and what may be signed: a backtrace may follow."""
    lines = re.sub(r"\x1b\[\d*m|\?[^\s)]*=[^\s)]*", "", str(error)).strip().splitlines()
    causes = [line.strip().removeprefix("↳").strip() for line in lines if line.strip().startswith("↳")]
    return ": ".join([*lines[:1], *causes[-1:]])[:300] or type(error).__name__
