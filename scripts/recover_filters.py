"""Recover the filters of a first layer from what they made of one image."""

from cnnvis.checks.filter_recovery import make_recovery
from cnnvis.core.jobs import job

with job(snakemake):
    make_recovery(
        snakemake.input.volume,
        snakemake.params.image,
        snakemake.output.prototxt,
        snakemake.output.weights,
        snakemake.output.picture,
        snakemake.output.report,
        **snakemake.params.options,
    )
