"""What keeping the responses of all filters adds to a forward pass, as a share of it."""

import time
from pathlib import Path

import numpy as np

from cnnvis.activations.responses import ROW, describe_maps
from cnnvis.core.arrays import check_finite
from cnnvis.engines.model import Model

FOLDER = Path(__file__).resolve().parents[1] / "models/photonet"
BATCH, REPEATS = 32, 5


def main():
    model = Model(FOLDER / "deploy.prototxt", FOLDER / "photonet.caffemodel", score="fc8")
    convolutions = model.info.convolutions.values()
    random = np.random.default_rng(0)
    inputs = random.normal(0, 50, (BATCH, *model.info.input_shape)).astype(np.float32)
    rows = {each.blob: np.zeros((BATCH, each.shape[0]), ROW) for each in convolutions}
    passes, kept = [], []
    with model.open() as network:
        for _ in range(REPEATS):
            start = time.perf_counter()
            maps = network.forward(inputs, list(rows))
            passes.append(time.perf_counter() - start)
            start = time.perf_counter()
            for blob, row in rows.items():
                check_finite(maps[blob], blob)
                for index, each in enumerate(maps[blob]):
                    describe_maps(each, row[index])
            kept.append(time.perf_counter() - start)
    forward, extra = 1e3 * min(passes) / BATCH, 1e3 * min(kept) / BATCH
    print(
        f"photonet, ms per image: forward pass {forward:.1f}, responses of "
        f"{sum(row.shape[1] for row in rows.values())} filters {extra:.1f} ({extra / forward:.0%})"
    )


if __name__ == "__main__":
    main()
