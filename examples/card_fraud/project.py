"""The model project of this example, put into a workspace."""

import re
import shutil
from pathlib import Path

from modelway.workspace import create_workspace

MODEL = "card-fraud"
PROJECT = Path(__file__).parent / "model"
STACK = "serving: {port: 0}\ntick_seconds: 0.05\n"


def founded(root: Path, stack: str = STACK, window: str | None = None) -> None:
    """A new workspace at `root` with the project; `window` replaces how far back it learns (the book: "7d")."""
    create_workspace(root, stack).close()
    place = root / "models" / MODEL
    shutil.copytree(PROJECT, place, dirs_exist_ok=True)
    if window is not None:
        spec = place / "modelway.yaml"
        text, count = re.subn(
            r"^training: \{window: \w+", f"training: {{window: {window}", spec.read_text(), flags=re.M
        )
        assert count == 1, "modelway.yaml has another form by now"
        spec.write_text(text)
