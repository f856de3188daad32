"""CPU seconds of the orderings by distances; mean distance and certificate of the shortest.

The first line includes the import of SciPy.
"""

import time
from pathlib import Path

import numpy as np

from cnnvis.activations.arrangements import METHODS
from cnnvis.activations.orderings import order

STUDY = Path(__file__).resolve().parents[2] / "shared/study/activations"


def layers():
    """Yield names and feature maps, one row per filter: the study's where they are at hand."""
    if (STUDY / "conv1_cat_scaled255.npy").exists():
        yield "conv1", np.load(STUDY / "conv1_cat_scaled255.npy").reshape(96, -1)
        for path in sorted(STUDY.glob("L[2-5]_*.vox")):
            width, height, _ = path.with_suffix(".hd").read_text().split()[1].split("x")
            yield path.stem, np.fromfile(path, np.uint8).reshape(-1, int(width) * int(height))
    random = np.random.default_rng(0)
    for filters in (96, 512):
        yield f"noise {filters}", np.maximum(0, random.normal(size=(filters, 784)))


def main():
    print(f"{'CPU s':10}{'filters':>8}" + "".join(f"{name:>10}" for name in METHODS))
    for name, maps in layers():
        seconds, certificate = [], ""
        for method in METHODS:
            start = time.process_time()
            _, numbers = order(maps.astype(float), method)
            seconds.append(time.process_time() - start)
            if "gap" in numbers:
                proof = "proven" if numbers["optimal"] else f"within {numbers['gap']:.3f} %"
                certificate = f"{numbers['neighbour_distance']['ordered']:10.1f} {proof}"
        print(f"{name:10}{len(maps):8}" + "".join(f"{s:10.2f}" for s in seconds) + certificate)


if __name__ == "__main__":
    main()
