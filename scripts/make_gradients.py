"""Differentiate one neuron with respect to the weights of layers."""

from cnnvis.core.jobs import job
from cnnvis.gradients.weight_gradients import make_gradients

with job(snakemake):
    make_gradients(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.input.array,
        snakemake.output[0],
        engine=snakemake.params.engine,
        engine_options=snakemake.params.engine_options,
        score=snakemake.params.score,
        cls=int(snakemake.wildcards.cls),
        layers=snakemake.params.layers,
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
    )
