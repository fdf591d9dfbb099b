"""A real schema registry on 127.0.0.1: Apicurio, which answers as Confluent's does (under /apis/ccompat/v7)."""

import subprocess
from pathlib import Path

from tests.engines.java import Program, answers, free_ports, maven

_ARTEFACT = "io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all"


def start_registry(folder: Path) -> tuple[str, Program]:
    """Its address and the program, which the caller stops; schemas are in its memory."""
    packed = maven("apicurio-2.6.13", "copy", f"-Dartifact={_ARTEFACT}", "-DoutputDirectory={out}")
    if not (packed / "lib").exists():
        subprocess.run(["tar", "xzf", next(packed.glob("*.tar.gz")), "-C", packed], check=True)
    (port,) = free_ports(1)
    settings = [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1"]
    jar = next(packed.glob("*-runner.jar"))
    program = Program(
        ["java", "-Xmx384m", *settings, "-jar", str(jar)], folder / "registry.log", lambda: answers(port), packed
    )
    program.start()
    return f"http://127.0.0.1:{port}/apis/ccompat/v7", program
