"""Recover the filters of a first layer from what they made of one image."""

from cnnvis.jobs import job
from cnnvis.recovery import make_recovery

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
