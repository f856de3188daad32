"""Check the gradients of one neuron numerically."""

from cnnvis.checks.gradient_check import check_gradients
from cnnvis.core.jobs import job
from cnnvis.engines.model import Model

with job(snakemake):
    check_gradients(
        Model(**snakemake.params.model),
        snakemake.input.array,
        snakemake.input.gradients,
        snakemake.output.report,
        snakemake.output.picture,
        cls=int(snakemake.wildcards.cls),
        layers=snakemake.params.layers,
        check=snakemake.params.check,
        threads=snakemake.threads,
    )
