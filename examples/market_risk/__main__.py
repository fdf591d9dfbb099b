"""The command behind `make demo`, `python -m examples.market_risk`: Ctrl-C ends it at any time in a sentence, not in a traceback."""

import os
import sys

STOPPED = "stopped; `make demo` starts it afresh"
_ENDING_SECONDS = 15.0
"""How long `modelway up`, a child of the replay, may take to end before Ctrl-C counts as lost."""


def main() -> None:
    """Import the replay, which takes a second, and run it."""
    try:
        from modelway.cli.interrupt import Interrupt, leave

        interrupt = Interrupt(_ENDING_SECONDS)
    except KeyboardInterrupt:  # from here on we listen ourselves
        os.write(2, f"{STOPPED}\n".encode())
        os._exit(130)
    try:
        from examples.market_risk.replay import main as replay

        sys.exit(replay())
    except BaseException:
        interrupt.over()
        if not interrupt.seen:
            raise
        print(STOPPED, file=sys.stderr)
        leave(130)


if __name__ == "__main__":
    main()
