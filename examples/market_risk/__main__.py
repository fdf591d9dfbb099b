"""The command behind `make demo`, `python -m examples.market_risk`."""

from examples.entry import run

if __name__ == "__main__":
    run("examples.market_risk.replay", "stopped; `make demo` starts it afresh")
