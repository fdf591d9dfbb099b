"""The pages of the documentation as blocks, and a reader who types them.

A fenced block is run by its language. ```python: one namespace a page. ```console: each line that begins with `$ ` is a command,
the other lines are its output. ```yaml: a whole spec is read as one. Everything happens in one temporary folder a page, into
which `cd` moves; `modelway up` runs on until the page ends. An HTML comment on the line above a block changes that:

    <!-- shown -->            it is only shown
    <!-- fails 3 -->          its last command, or its Python, ends with this code
    <!-- says "words" -->     the output has these words
    <!-- until "words" -->    the last command is repeated until its output has these words
    <!-- into FILE -->        YAML: its keys go into that file of the workspace
    <!-- file FILE -->        the block is that file
    <!-- workspace -->        anywhere: the page begins in a workspace with a model project `loans`, not yet run
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMMANDS = Path(sys.executable).parent
ADDRESS = "127.0.0.1:8080"
"""Where a server of the documentation listens; the tests take a free port."""
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.5
_FENCE = re.compile(r"^```(\w*)\s*$")
_MARK = re.compile(r'^<!-- (\w+)(?: "(.*)"| (.*?))? -->$')


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, the line that it begins in, and the marks above it."""

    language: str
    text: str
    line: int
    marks: dict[str, str]

    @property
    def commands(self) -> list[str]:
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in order; raises ValueError for one that is never closed."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    opened: tuple[str, int, dict[str, str]] | None = None
    inner: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, inner = (fence[1], number, marks), []
        elif opened is not None and line == "```":
            found.append(Block(opened[0], "\n".join(inner) + "\n", opened[1], opened[2]))
            opened, marks = None, {}
        elif opened is not None:
            inner.append(line)
        elif mark := _MARK.match(line):
            marks = {**marks, mark[1]: mark[2] or mark[3] or ""}
        elif line:
            marks = {}
    if opened is not None:
        raise ValueError(f"{page}:{opened[1]}: the block is never closed")
    return found


def begins_in_workspace(page: Path) -> bool:
    return "<!-- workspace -->" in page.read_text().splitlines()


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder; a context, at whose end nothing is left running."""

    page: Path
    here: Path
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    address: str = ADDRESS

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=PATIENCE_SECONDS)[0]
            assert process.returncode == 0, rest

    def do(self, block: Block) -> None:
        """Run the block as its language and its marks say."""
        place = f"{self.page.relative_to(ROOT)}:{block.line}"
        if "file" in block.marks:
            self._path(block.marks["file"]).write_text(block.text)
        elif "into" in block.marks:
            merge(self._path(block.marks["into"]), block.text)
        elif "shown" in block.marks:
            return
        elif block.language == "python":
            self._python(block, place)
        elif block.language == "console":
            self._console(block, place)
        elif block.language == "yaml":
            read_yaml(block, self.here)

    def _path(self, name: str) -> Path:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _python(self, block: Block, place: str) -> None:
        code = compile("\n" * block.line + self._addressed(block.text), place.partition(":")[0], "exec")
        with contextlib.chdir(self.here):
            exec(code, self.namespace)

    def _console(self, block: Block, place: str) -> None:
        said = ""
        for number, command in enumerate(block.commands, 1):
            last = number == len(block.commands)
            wanted = int(block.marks.get("fails", 0)) if last else 0
            until = block.marks.get("until", "") if last else ""
            said += self._typed(self._addressed(command), wanted, until, place)
        assert block.marks.get("says", "") in said, f"{place}: {said}"

    def _typed(self, command: str, wanted: int, until: str, place: str) -> str:
        """The output of a line; `a && b` is two commands, `cd` moves."""
        said = ""
        for words in _parted(shlex.split(command)):
            if words[0] == "cd":
                self.here = (self.here / words[1]).resolve()
            elif words == ["modelway", "up"]:
                self._up(place)
            else:
                said += self._ran(words, wanted, until, place)
        return said

    def _ran(self, words: list[str], wanted: int, until: str, place: str) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = subprocess.run(
                words, cwd=self.here, env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS
            )
            said = done.stdout + done.stderr
            assert done.returncode == wanted, f"{place}: {shlex.join(words)} ended with {done.returncode}:\n{said}"
            if until in said:
                return said
            assert time.monotonic() < deadline, f"{place}: {shlex.join(words)} never said {until!r}, but:\n{said}"
            time.sleep(POLL_SECONDS)  # else asking would take the time of those who are asked

    def _up(self, place: str) -> None:
        stack = self.here / "stack.yaml"
        if "serving" not in (yaml.safe_load(stack.read_text()) or {}):
            merge(stack, "serving: {port: 0}")
        process = subprocess.Popen(
            ["modelway", "up"],
            cwd=self.here,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        assert process.stdout
        first = process.stdout.readline()  # the supervisor gives up by itself when it is not ready in time
        assert first.startswith("ready at http://"), f"{place}: {first}"
        self.address = first.split()[2].removeprefix("http://")

    def _addressed(self, text: str) -> str:
        return text.replace(ADDRESS, self.address)


def environment() -> dict[str, str]:
    """That of somebody with the package installed."""
    path = f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "MODELWAY_USER": "ada", "OMP_NUM_THREADS": "2", "PYTHONDONTWRITEBYTECODE": ""}
    return {**os.environ, **own}


class _Loader(yaml.SafeLoader):
    """YAML as the spec is read: `on` and `no` are text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def merge(path: Path, text: str) -> None:
    """Put the keys of a YAML text into a YAML file, as somebody would who edits it; keys of the same name are joined."""
    there = yaml.load(path.read_text(), _Loader) or {}
    path.write_text(yaml.safe_dump(_joined(there, yaml.load(text, _Loader)), sort_keys=False))


def read_yaml(block: Block, folder: Path) -> None:
    """A YAML block that is not marked must be a whole spec."""
    from modelway.spec.load import load_spec

    path = folder / "block.yaml"
    path.write_text(block.text)
    load_spec(path)


def _joined(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{name: _joined(old.get(name), value) for name, value in new.items()}}


def _parted(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word == "&&":
            yield part
            part = []
        else:
            part.append(word)
    yield part


def copy_workspace(source: Path, target: Path) -> None:
    """The folder with the data files and the workspace in it."""
    shutil.copytree(source, target, dirs_exist_ok=True)
