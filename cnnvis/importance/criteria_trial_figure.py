"""Draw criteria on trial: how far each agrees with the oracle, and what pruning by it costs."""

import numpy as np

from cnnvis.core.colours import BLUE, GREY, INK, ORANGE
from cnnvis.core.drawing import add_axes, new_page, save_figure, style
from cnnvis.core.painting import MARGIN, TITLE_ROOM
from cnnvis.importance.criteria_trial import LOSS, ORACLE, SIGNED, SIZE
from cnnvis.importance.filter_criteria import NAMES_OF_CRITERIA, STUDY

WIDTH, HEIGHT, GAP = 1180, 330, 70
# Room for the names of criteria, and for the axes' labels and legends.
LABELS, FOOT = 190, 112
# Below the axes, where no point is.
LEGEND = {"fontsize": 7, "labelcolor": GREY, "frameon": False, "ncols": 2}
LEGEND |= {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
LINE = {"lw": 1.6, "marker": ".", "ms": 5}
# How many criteria have lines of their own, beside the study's.
BEST = 2
COLOURS = ("#2a9d8f", "#8d5a97")


def draw_trial(trial, summary, picture):
    """Draw a trial as a PNG.

    Parameters
    ----------
    trial : cnnvis.importance.criteria_trial.Trial
    summary : dict
        Of the trial.
    picture : str or Path
    """
    title = f"Criteria of importance for the filters of {trial.layer}, on trial for "
    figure = new_page(WIDTH, TITLE_ROOM + HEIGHT + FOOT, f"{title}{trial.image_set}")
    width = (WIDTH - 2 * MARGIN - LABELS - 2 * GAP) // 3
    tops, lefts = TITLE_ROOM + 22, [MARGIN + LABELS + place * (width + GAP) for place in range(3)]
    panels = (_draw_agreement, _draw_curves, _draw_prediction)
    for draw, left in zip(panels, lefts, strict=True):
        draw(add_axes(figure, left, tops, width, HEIGHT - 22), trial, summary)
    save_figure(figure, picture, _caption(summary))


def _heading(axes, text):
    axes.set_title(text, fontsize=9, loc="left", color="0.2", pad=8)


def _draw_agreement(axes, trial, summary):
    names = list(summary["criteria"])
    for place, name in enumerate(names):
        losses = summary["criteria"][name]["losses"]
        for loss, shift, colour in ((SIZE, -0.13, BLUE), (LOSS, 0.13, ORANGE)):
            entry = losses[loss]["spearman"]
            if entry["value"] is None:
                continue
            if entry["interval"]:
                axes.plot(entry["interval"], [place + shift] * 2, color=colour, lw=1.4, alpha=0.6)
            label = {SIZE: "size of the change", LOSS: "loss"}[loss] if place == 0 else None
            axes.plot(entry["value"], place + shift, "o", color=colour, ms=4, label=label)
    axes.axvline(0, color="0.75", lw=1, zorder=0)
    style(axes, "Spearman's correlation", "")
    axes.set_yticks(range(len(names)), [NAMES_OF_CRITERIA[name] for name in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(INK if name == STUDY else GREY)
        label.set_weight("bold" if name == STUDY else "normal")
    axes.set(xlim=(min(-0.3, axes.get_xlim()[0]), 1.02), ylim=(len(names) - 0.5, -0.5))
    if axes.get_legend_handles_labels()[0]:  # Where no filter matters there is nothing to explain.
        axes.legend(**LEGEND)
    _heading(axes, "Agreement with the true effect")


def _draw_curves(axes, trial, summary):
    curves = trial.curves["probability"]
    chosen = [SIGNED, *(name for name in summary["criteria"] if name not in (SIGNED, STUDY))]
    names = [name for name in chosen if name != "random"][:BEST]
    looks = {name: {"color": colour} for name, colour in zip(names, COLOURS, strict=False)}
    looks |= {STUDY: {"color": BLUE}, "random": {"color": "0.6"}}
    looks[ORACLE] = {"color": INK, "ls": "--"}
    titles = NAMES_OF_CRITERIA | {ORACLE: "oracle's order"}
    for name, look in looks.items():
        points = sorted(curves[name].items())
        axes.plot(*zip(*points, strict=True), label=titles[name], **LINE, **look)
    axes.legend(**LEGEND)
    axes.set(xlim=(0, trial.filters), ylim=(-0.03, 1.03))
    style(axes, f"filters of {trial.layer} removed, the least important first", "probability")
    _heading(axes, f"The probability of {trial.image_set}'s class")


def _draw_prediction(axes, trial, summary):
    predicted, measured = trial.criteria[SIGNED][0], trial.losses[LOSS][0]
    axes.scatter(predicted, measured, s=14, color=BLUE, alpha=0.7)
    ends = np.array([min(predicted.min(), measured.min()), max(predicted.max(), measured.max())])
    axes.plot(ends, ends, color="0.75", lw=1, zorder=0)
    for index in np.argsort(-np.abs(measured), kind="stable")[:4]:
        spot = (predicted[index], measured[index])
        axes.annotate(str(index), spot, (4, 3), textcoords="offset points", fontsize=7, color=GREY)
    style(axes, "predicted to first order", "measured")
    _heading(axes, "Loss of log-probability")


def _caption(summary):
    return (
        f"{summary['sentence']} Left: the dots are Spearman's correlations over the filters of a "
        "criterion with what the removal of each filter alone does to the logarithm of the class's "
        "probability: the size of its change in either direction, and its loss; in nine tenths of "
        "the replicates of a bootstrap over the images they lie on the lines. Centre: the class's "
        "mean probability as the least important filters are removed, by some criteria; the "
        "oracle's order is by the measured loss of each filter alone, the least first. Right: each "
        "dot is a filter; on the grey line, the gradient predicts what the removal costs."
    )
