"""Draw the filters of every convolution of a network."""

from cnnvis.activations.filters import make_filters
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model

with job(snakemake):
    make_filters(
        Places("results", **snakemake.params.place),
        Model(**snakemake.params.model),
        layers=snakemake.params.layers,
        **snakemake.params.place,
        channel_order=snakemake.params.channel_order,
    )
