"""What the study reports of pruning, to stand beside a run that has the same classes.

From its report, "Visualization of Convolutional Neural Networks" (2016), section 3.2.3: the table
of error rates, and the ends of the curves in figures 7 and 8, read from the pictures.
"""

CASES = {
    "before": "with all filters",
    "least": "without the least important filter",
    "most": "without the most important filter",
}
# By WordNet id: error rates as shares of the images, and {threshold of the sweep: error rate}.
STUDY = {
    "n02123394": {  # Persian cat, class 283 of ImageNet
        "table": {"before": 0.105, "least": 0.105, "most": 0.14},
        "sweep": {0.0: 0.105, 0.3: 0.77},
    },
    "n02113023": {  # Pembroke, class 263
        "table": {"before": 0.0939, "least": 0.0883, "most": 0.1546},
        "sweep": {},
    },
    # Tabby, class 281. ASSUME: figure 8, whose caption is not its own, shows this class, because
    # that caption names neuron 281.
    "n02123045": {"table": {}, "sweep": {0.0: 0.09, 0.16: 1.0}},
}


def beside_study(synset, summary):
    """Return what the study reports of a class, beside what a run found.

    Parameters
    ----------
    synset : str or None
        The class's WordNet id.
    summary : dict
        Of `cnnvis.importance.pruning_table.Pruning`.

    Returns
    -------
    list of dict
        ``what``, ``study`` and ``here``: error rates as shares of the images; ``here`` is None in
        a sweep that was not made. Empty for a class that the study does not report.
    """
    if synset not in STUDY:
        return []
    study, sweep = STUDY[synset], summary["study_sweep"]
    rows = [
        {"what": CASES[case], "study": error, "here": summary["table"][case]["error_top1"]}
        for case, error in study["table"].items()
    ]
    for threshold, error in study["sweep"].items():
        here = sweep[round(threshold * (len(sweep) - 1))] if sweep else None
        what = f"weights of filters that score below {threshold:.2f} at zero"
        rows.append({"what": what, "study": error, "here": here})
    return rows
