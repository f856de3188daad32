"""Tables of pruned networks' errors: every row, the study's three cases, the sweep in numbers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cnnvis.core.arrays import significant
from cnnvis.core.files import write_csv


@dataclass(frozen=True)
class Pruning:
    """What pruning one layer does to the error rates of some image sets.

    Attributes
    ----------
    settings : cnnvis.importance.pruning.PruningSettings
    image_set : str
        The name of the image set whose class's importance set the order.
    order, means : ndarray, (filters,)
        The filters, the least important first, and the importance of each.
    rows : list of dict
        Of `cnnvis.importance.pruning.ErrorCounts`, one for each ablation and image set. Errors are
        shares of the images, ``probability`` is the mean of the class's.
    skipped : dict of str to list of dict
        By image set, ``image`` and ``reason`` of the images that could not be read.
    """

    settings: object
    image_set: str
    order: np.ndarray
    means: np.ndarray
    rows: list
    skipped: dict

    @property
    def layer(self):
        """The layer that is pruned."""
        return self.settings.layer

    @property
    def own(self):
        """The rows of the class's own images."""
        return self.of(self.image_set)

    def of(self, name):
        """Return the rows of an image set."""
        return [row for row in self.rows if row["collection"] == name]

    def write_table(self, path):
        """Write all rows as CSV, with their keys as columns."""
        cells = (
            [f"{value:.6g}" if isinstance(value, float) else value for value in row.values()]
            for row in self.rows
        )
        write_csv(path, self.rows[0], cells)

    @property
    def removed(self):
        """The filter that is removed in each of the study's three cases, a dict."""
        return {"before": None, "least": int(self.order[0]), "most": int(self.order[-1])}

    @cached_property
    def summary(self):
        """The study's table, the sweep in numbers and one ``sentence``, as a dict."""
        own, cases = self.own, self.cases(self.image_set)
        table = {case: {"filter": self.removed[case], **cases[case]} for case in cases}
        names = dict.fromkeys(row["collection"] for row in self.rows)
        return {
            "layer": self.layer,
            "collection": self.image_set,
            "cls": own[0]["cls"],
            "zero": self.settings.zero,
            "criterion": self.settings.criterion,
            "images": own[0]["images"],
            "filters": len(self.order),
            "importance": {
                case: significant(self.means[self.removed[case]]) for case in ("least", "most")
            },
            "table": table,
            "others": {name: self.cases(name) for name in names if name != self.image_set},
            "study_sweep": self.study_sweep,
            "half_wrong": {kind: half_wrong(own, kind) for kind in ("least", "most", "random")},
            "sentence": self._sentence(table),
            "skipped": self.skipped,
        }

    @property
    def study_sweep(self):
        """The class's errors in each step of the study's sweep, a list; empty if it is not made."""
        rows = [row for row in self.own if row["removal"] == "study"]
        return [significant(row["error_top1"]) for row in rows]

    def cases(self, name):
        """Return the errors of an image set in the study's three cases.

        Returns
        -------
        dict
            Of ``before`` (with all filters), ``least`` and ``most`` (without the least and without
            the most important one).
        """
        rows = {row["filter"]: row for row in self.of(name) if row["removal"] in ("none", "single")}
        numbers = ("error_top1", "error_top5", "probability")
        return {
            case: {key: significant(rows[index][key]) for key in numbers}
            for case, index in self.removed.items()
        }

    def _sentence(self, table):
        """Say in words what pruning does to the class."""
        percent = {case: f"{100 * row['error_top1']:.1f} %" for case, row in table.items()}
        alike = len(self.means) > 1 and self.means.min() == self.means.max()
        text = (
            f"All filters of {self.layer} are equally important to {self.image_set}, so that they "
            "are removed in the order of the network. "
            if alike
            else ""
        )
        text += (
            f"Of {self.own[0]['images']} images of {self.image_set}, {percent['before']} are "
            f"classified wrongly; {percent['least']} without the least important filter of "
            f"{self.layer} ({table['least']['filter']}), {percent['most']} without the most "
            f"important ({table['most']['filter']})"
        )
        if table["before"]["error_top1"] >= 0.5:
            return f"{text}; too many to begin with for a sweep to say much."
        names = {"most": "most important", "random": "random", "least": "least important"}
        halves = {name: half_wrong(self.own, kind) for kind, name in names.items()}
        counts = [f"{count} {name}" for name, count in halves.items() if count]
        if not counts:
            return f"{text}; no removal makes half of them wrong."
        return f"{text}; half are wrong without {', or '.join(counts)} filters."


def half_wrong(rows, kind):
    """Return the fewest filters of a sweep without which half of the images are wrong, or None."""
    errors = sweep(rows, kind, "error_top1")
    return next((removed for removed, each in errors.items() if np.mean(each) >= 0.5), None)


def sweep(rows, kind, value, criterion=None):
    """Return ``{filters removed: [value, one per seed]}`` of one kind, fewest first.

    Without a `criterion`, of the order that is followed.
    """
    chosen = [row for row in rows if (row["removal"], row["criterion"]) == (kind, criterion)]
    removed = sorted({row["removed"] for row in chosen})
    return {count: [row[value] for row in chosen if row["removed"] == count] for count in removed}
