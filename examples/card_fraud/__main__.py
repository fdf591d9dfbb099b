"""The command behind `make fraud`, `python -m examples.card_fraud`."""

from examples.entry import run

if __name__ == "__main__":
    run("examples.card_fraud.command", "stopped; `make fraud` starts it afresh")
