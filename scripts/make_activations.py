"""Run a network on one image."""

from cnnvis.activations.forward import make_activations
from cnnvis.core.jobs import job

with job(snakemake):
    make_activations(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.input.array,
        snakemake.output.blobs,
        snakemake.output.prediction,
        engine=snakemake.params.engine,
        engine_options=snakemake.params.engine_options,
        score=snakemake.params.score,
        labels=next(iter(snakemake.input.labels), None),
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
    )
