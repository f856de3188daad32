"""What all pictures share: figures without global state, one look, atomic files."""

from cnnvis.files import atomic

DPI = 120


def new_figure(width, height, **options):
    """Return an empty Agg figure of `width` x `height` inches.

    No ``pyplot``: importing it costs a third of a second per job, and nothing here is interactive.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, **options)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path, caption=None):
    """Write `figure` as PNG, with its caption under it and in the file's metadata."""
    if caption:
        figure.supxlabel(caption, fontsize=8, color="0.35", wrap=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Description": caption or ""})
