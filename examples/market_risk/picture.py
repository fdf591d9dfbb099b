"""The two figures of the report as one picture, from a finished replay: `python -m examples.market_risk.picture demo OUT.png`."""

import sys
from pathlib import Path

from examples.market_risk.report import draw_expected, draw_losses
from examples.market_risk.story import told
from modelway.workspace import open_workspace


def main(root: str, out: str) -> None:
    """Read the story back from the workspace, and draw it."""
    from matplotlib.figure import Figure

    workspace = open_workspace(Path(root))
    try:
        story = told(workspace, "market-risk")
    finally:
        workspace.close()
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(4, 3))
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    draw_expected(above, story)
    draw_losses(below, story)
    above.set_title(
        "Will the coming five days be turbulent? What the running service answered, and what came", loc="left", pad=18
    )
    below.set_title("Loss of the loop and of the frozen first model", loc="left")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:3])
