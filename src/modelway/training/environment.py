"""What a training ran on: Python, system and every installed package, as one artefact."""

import platform
from importlib.metadata import distributions

from modelway.records import dumps


def environment() -> bytes:
    """JSON {python, implementation, machine, system, packages: {name: version}}; equal installations give equal bytes."""
    packages = {
        name.lower().replace("_", "-"): found.version for found in distributions() if (name := found.metadata["Name"])
    }
    return dumps(
        {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "machine": platform.machine(),
            "system": platform.system(),
            "packages": packages,
        }
    )
