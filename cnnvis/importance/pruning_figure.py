"""Draw what pruning does: sweeps, costs to other classes, single filters, the study's table."""

import numpy as np

from cnnvis.core.colours import BLUE, GREY, ORANGE
from cnnvis.core.drawing import add_axes, new_page, save_figure, style
from cnnvis.core.files import atomic
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.importance.filter_criteria import NAMES_OF_CRITERIA
from cnnvis.importance.pruning_table import sweep

COLOURS = {"most": ORANGE, "least": BLUE, "random": "0.45"}
NAMES = {"most": "most important first", "random": "at random", "least": "least important first"}
REMOVED = {"weights_and_bias": "weights and bias", "weights": "weights"}
OTHERS = ("#7a9a4f", "#8d5a97", "#c0504d", "#2a9d8f", "#a0843b", "#5b6770")
WIDTH, GAP = 1180, 92
UPPER, LOWER = 320, 250
LIMITS = (-3, 103)
MOST_OTHERS = 4
# Above 100 %, where no line is.
LEGEND = {"fontsize": 8, "labelcolor": GREY, "frameon": False, "loc": "upper left"}
LEGEND_LINE = 11


def draw_pruning(pruning, picture, vector_picture, *, title):
    """Draw what pruning does to a class and to others.

    Parameters
    ----------
    pruning : cnnvis.importance.pruning_table.Pruning
    picture, vector_picture : str or Path
        PNG and SVG.
    title : str
    """
    swept = bool(pruning.summary["study_sweep"])
    height = TITLE_ROOM + UPPER + GAP + LOWER + 56 + (GAP + LOWER) * swept
    figure = new_page(WIDTH, height, title)
    left, half = MARGIN + 44, (WIDTH - 2 * MARGIN - 2 * 44 - 40) // 2
    _draw_sweep(add_axes(figure, left, TITLE_ROOM + 22, half, UPPER - 22), pruning)
    place = (left + half + 84, TITLE_ROOM + 22, half, UPPER - 22)
    _draw_others(add_axes(figure, *place), pruning)
    top, third = TITLE_ROOM + UPPER + GAP, 282
    _draw_single(add_axes(figure, left, top, third, LOWER), pruning)
    _draw_thresholds(add_axes(figure, left + third + 80, top, third, LOWER), pruning)
    start = left + 2 * third + 80 + 44
    _draw_table(add_axes(figure, start, top, WIDTH - MARGIN - start, LOWER), pruning.summary)
    if swept:
        place = (left, top + LOWER + GAP, WIDTH - MARGIN - left, LOWER)
        _draw_study_sweep(add_axes(figure, *place), pruning)
    save_figure(figure, picture, _caption(pruning.summary))
    _save_vector(figure, vector_picture, title)


def _save_vector(figure, path, title):
    import matplotlib

    # A fixed salt and no date: the same picture is the same file.
    settings = {"svg.hashsalt": "cnnvis", "svg.fonttype": "none"}
    with matplotlib.rc_context(settings), atomic(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Title": title})


def _before(rows, value="error_top1"):
    """Return what an image set's errors are with all filters."""
    return next(row[value] for row in rows if row["removal"] == "none")


def _heading(axes, text):
    axes.set_title(text, fontsize=9, loc="left", color="0.2", pad=8)


def _draw_sweep(axes, pruning):
    own = pruning.own
    for kind in ("random", "least", "most"):
        for value, line in (("error_top1", "-"), ("error_top5", ":")):
            points = {0: [_before(own, value)], **sweep(own, kind, value)}
            counts, errors = list(points), [100 * np.array(point) for point in points.values()]
            low, mean, high = zip(*((e.min(), e.mean(), e.max()) for e in errors), strict=True)
            look = {"color": COLOURS[kind], "lw": 1.6, "marker": ".", "ms": 5}
            axes.plot(counts, mean, line, label=NAMES[kind] if line == "-" else None, **look)
            if kind == "random" and line == "-":
                axes.fill_between(counts, low, high, color=COLOURS[kind], alpha=0.2, linewidth=0)
    _mark_before(axes, own)
    axes.legend(**LEGEND, ncols=3)
    _heading(axes, f"Errors on {pruning.image_set}: top-1, and top-5 dotted")
    style(axes, f"filters of {pruning.layer} removed", "images classified wrongly (%)")
    _set_limits(axes, len(pruning.order))


def _set_limits(axes, right, legend_lines=1):
    axes.set(xlim=(0, right), yticks=range(0, 101, 20))
    axes.set_ylim(LIMITS[0], LIMITS[1] + 4 + LEGEND_LINE * legend_lines)


def _mark_before(axes, own):
    axes.axhline(100 * _before(own), color="0.75", lw=1, zorder=0)


def _draw_others(axes, pruning):
    names = list(pruning.summary["others"])
    for name, colour in zip(names, OTHERS * len(names), strict=False):
        rows = pruning.of(name)
        for kind, line in (("most", "-"), ("least", "--")):
            points = {0: [_before(rows)], **sweep(rows, kind, "error_top1")}
            errors = [100 * point[0] for point in points.values()]
            label = f"{name}, {NAMES[kind]}"
            axes.plot(list(points), errors, line, color=colour, lw=1.4, label=label)
    if names:
        axes.legend(**LEGEND, ncols=2)
    else:
        axes.text(0.5, 0.5, "no other image set", ha="center", color=GREY, fontsize=8)
    _set_limits(axes, len(pruning.order), legend_lines=len(names))
    _heading(axes, f"The effect on other classes (order of {pruning.image_set})")
    style(axes, f"filters of {pruning.layer} removed", "top-1 errors (%)")


def _draw_single(axes, pruning):
    own, means = pruning.own, pruning.means
    single = [row for row in own if row["removal"] == "single"]
    errors = np.array([100 * row["error_top1"] for row in single])
    axes.scatter(means[[row["filter"] for row in single]], errors, s=14, color=BLUE, alpha=0.7)
    _mark_before(axes, own)
    apart = np.abs(errors - 100 * _before(own))
    for place in (place for place in np.argsort(-apart, kind="stable")[:3] if apart[place]):
        index = single[place]["filter"]
        spot = (means[index], errors[place])
        axes.annotate(str(index), spot, (4, 3), textcoords="offset points", fontsize=7, color=GREY)
    axes.set_xlim(left=0)
    low, high = axes.get_ylim()
    axes.set_ylim(max(LIMITS[0], low - 1), max(high, low + 5))
    _heading(axes, "Each filter removed alone")
    style(axes, "importance of the filter", "top-1 errors (%)")


def _draw_thresholds(axes, pruning):
    rows = [row for row in pruning.own if row["removal"] == "threshold"]
    shares = [100 * row["threshold"] for row in rows]
    for value, line in (("error_top1", "-"), ("error_top5", ":")):
        errors = [100 * row[value] for row in rows]
        axes.plot(shares, errors, line, color=COLOURS["least"], lw=1.6, marker=".", ms=5)
    labels = {row["removed"]: place for place, row in reversed(list(enumerate(rows)))}
    for removed, place in labels.items():
        spot = (shares[place], 100 * rows[place]["error_top1"])
        text = {"textcoords": "offset points", "ha": "center", "fontsize": 7, "color": GREY}
        axes.annotate(str(removed), spot, (0, 5), **text)
    _mark_before(axes, pruning.own)
    _set_limits(axes, 100)
    _heading(axes, "All filters below a threshold removed")
    style(axes, "threshold (% of the largest importance)", "images classified wrongly (%)")


def _draw_study_sweep(axes, pruning):
    """Draw the study's sweep, and the coarse one above with its thresholds as scores."""
    study = [row for row in pruning.own if row["removal"] == "study"]
    scores = [row["threshold"] for row in study]
    errors = [100 * row["error_top1"] for row in study]
    below = [100 * row["removed"] / len(pruning.order) for row in study]
    axes.plot(scores, below, color="0.7", lw=1.2, label="filters below the threshold (%)")
    most, least = pruning.means.max(), pruning.means.min()
    rows = [row for row in pruning.own if row["removal"] == "threshold"]
    ours = [(row["threshold"] * most - least) / (float(most - least) or 1.0) for row in rows]
    look = {"color": COLOURS["least"], "lw": 1.2, "marker": ".", "ms": 6}
    label = f"{REMOVED[pruning.settings.zero]} set to zero, in few steps"
    axes.plot(ours, [100 * row["error_top1"] for row in rows], label=label, **look)
    axes.plot(
        scores, errors, color=COLOURS["most"], lw=1.6, label="weights set to zero, as in the study"
    )
    _mark_before(axes, pruning.own)
    axes.legend(**LEGEND, ncols=3)
    _set_limits(axes, 1)
    _heading(axes, "The study's sweep of the threshold: top-1 errors")
    style(axes, "threshold (score of the filter)", "images classified wrongly (%)")


def _draw_table(axes, summary):
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _heading(axes, f"The study's table: {summary['collection']}")
    names = {"before": "nothing", "least": "least important", "most": "most important"}
    lines = [("removed", "top-1", "top-5", "probability")]
    for case, name in names.items():
        entry = summary["table"][case]
        label = name if entry["filter"] is None else f"{name} ({entry['filter']})"
        errors = (_percent(entry[key]) for key in ("error_top1", "error_top5"))
        lines.append((label, *errors, f"{entry['probability']:.3f}"))
    _write_lines(axes, lines, 0.93)
    lines = [("top-1 errors without", "nothing", "least", "most")]
    for name, cases in list(summary["others"].items())[:MOST_OTHERS]:
        lines.append((name, *(_percent(cases[case]["error_top1"]) for case in names)))
    if summary["others"]:
        _write_lines(axes, lines, 0.4)


def _percent(share):
    return f"{100 * share:.1f} %"


def _write_lines(axes, lines, top):
    for number, line in enumerate(lines):
        height = top - 0.105 * number
        colour = "0.15" if number else GREY
        for place, text in zip((0, 0.6, 0.78, 1), line, strict=True):
            align = "right" if place else "left"
            axes.text(place, height, text, ha=align, va="center", fontsize=8, color=colour)
    axes.axhline(top - 0.053, color="0.8", lw=0.8)


def _caption(summary):
    how = f"{REMOVED[summary['zero']]} set to zero"
    study = (
        " Below: a filter's score is its importance, scaled from the layer's least to its largest "
        "as 0 to 1; the threshold increases in steps of 0.01, and the bias is kept."
    )
    criterion = NAMES_OF_CRITERIA[summary["criterion"]]
    return (
        f"{summary['sentence']} Filters of {summary['layer']} are removed ({how}) in the order of "
        f"their importance to {summary['collection']}: {criterion}, a mean over the images. Top "
        "left: the band lies between the best and the worst of the random orders; the grey line "
        "marks the errors with all filters. Bottom left: the filters that change the errors most "
        "are numbered. Bottom centre: the numbers are how many filters are removed."
        f"{study if summary['study_sweep'] else ''}"
    )
