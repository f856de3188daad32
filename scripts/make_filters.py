"""Draw the filters of one layer."""

from cnnvis.activations.filters import make_filters
from cnnvis.core.jobs import job
from cnnvis.engines.model import Model

with job(snakemake):
    make_filters(
        Model(**snakemake.params.model),
        {snakemake.params.layer: snakemake.output[0]},
        network=snakemake.wildcards.network,
        channel_order=snakemake.params.channel_order,
    )
