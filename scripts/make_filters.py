"""Draw the filters of every convolution of a network."""

from cnnvis.activations.filters import make_filters
from cnnvis.core.jobs import job
from cnnvis.engines.model import Model

with job(snakemake):
    make_filters(
        Model(**snakemake.params.model),
        dict(zip(snakemake.params.titles, snakemake.output, strict=True)),
        titles=snakemake.params.titles,
        channel_order=snakemake.params.channel_order,
    )
