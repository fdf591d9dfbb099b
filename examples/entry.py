"""How an example is run: Ctrl-C ends it at any time in a sentence, not in a traceback."""

import importlib
import os
import sys

_ENDING_SECONDS = 15.0
"""How long `modelway up`, a child of a replay, may take to end before Ctrl-C counts as lost."""


def run(module: str, stopped: str) -> None:
    """Import the module, which takes a second, and call its `main`; `stopped` is said when Ctrl-C ends it."""
    try:
        from modelway.cli.interrupt import Interrupt, leave

        interrupt = Interrupt(_ENDING_SECONDS)
    except KeyboardInterrupt:  # from here on we listen ourselves
        os.write(2, f"{stopped}\n".encode())
        os._exit(130)
    try:
        sys.exit(importlib.import_module(module).main())
    except BaseException:
        interrupt.over()
        if not interrupt.seen:
            raise
        print(stopped, file=sys.stderr)
        leave(130)
