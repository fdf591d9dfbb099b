"""Where `modelway` starts: Ctrl-C while its own code is being imported ends in a sentence too, not in a traceback."""

import os

STOPPED = "stopped; nothing is half done: the same command (a run also `modelway up`) goes on from here"


def main() -> None:
    """Import the command, which takes a tenth of a second, and run it."""
    try:
        from modelway.cli.app import main as run

        run()
    except KeyboardInterrupt:  # later `app` listens itself
        os.write(2, f"{STOPPED}\n".encode())
        os._exit(130)
