"""Take the gradients of one neuron from published arrays, one per layer."""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.gradients.published_gradients import import_gradients

with job(snakemake):
    import_gradients(
        snakemake.output[0],
        dict(zip(snakemake.params.layers, snakemake.input.arrays, strict=True)),
        Model(**snakemake.params.model).info.layers_with_weights,
    )
