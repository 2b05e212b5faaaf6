"""One figure style for the whole course: readable to the colour-blind, small enough for a repository."""

from __future__ import annotations

from walkforward.errors import needs_extra

PALETTE: dict[str, str] = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "grey": "#7F7F7F",
}
"""Okabe and Ito (2008), Color Universal Design; yellow is left out because it vanishes on white."""


def use_style() -> None:
    """Set the course's Matplotlib style for the running kernel (extra `plots`).

    Width 6.4 in at 90 dpi keeps a line chart near 20 KB as PNG. Lines also differ by dash, so a figure
    reads in black and white.

    >>> import matplotlib
    >>> with matplotlib.rc_context():
    ...     use_style()
    ...     matplotlib.rcParams["figure.figsize"]
    [6.4, 3.4]
    """
    with needs_extra("plots", "walkforward.plots"):
        import matplotlib as mpl
        from cycler import cycler

    styles = ["-", "--", "-.", ":", "-", "--", "-."]
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.4),
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#DDDDDD",
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "axes.prop_cycle": cycler(color=list(PALETTE.values())) + cycler(linestyle=styles),
        }
    )
