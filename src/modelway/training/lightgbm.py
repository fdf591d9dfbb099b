"""LightGBM prints to standard output by itself; here it is told to use logging, where nobody listens unless asked to."""

import logging


def quiet() -> None:
    """Send LightGBM's messages to the logger `modelway.lightgbm`."""
    import lightgbm

    log = logging.getLogger("modelway.lightgbm")
    log.addHandler(logging.NullHandler()) if not log.handlers else None
    log.propagate = False
    lightgbm.register_logger(log)
