"""Check the gradients of one neuron numerically."""

from cnnvis.checks.gradient_check import check_gradients
from cnnvis.core.jobs import job

with job(snakemake):
    check_gradients(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.input.array,
        snakemake.input.gradients,
        snakemake.output.report,
        snakemake.output.picture,
        score=snakemake.params.score,
        cls=int(snakemake.wildcards.cls),
        layers=snakemake.params.layers,
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
        input_shape=snakemake.params.input_shape,
        **snakemake.params.check,
    )
