"""Preprocess one image."""

from cnnvis.core.jobs import job
from cnnvis.inputs.images import make_input

with job(snakemake):
    make_input(
        snakemake.params.source,
        snakemake.output[0],
        shape=snakemake.params.shape,
        mean=snakemake.params.mean,
        input_scale=snakemake.params.input_scale,
        channel_order=snakemake.params.channel_order,
        crop=snakemake.params.crop,
    )
