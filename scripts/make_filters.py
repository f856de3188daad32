"""Draw the filters of one layer."""

from cnnvis.activations.grids import make_filters
from cnnvis.core.jobs import job

with job(snakemake):
    make_filters(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.output[0],
        layer=snakemake.params.layer,
        title=f"Filters of {snakemake.params.layer} in {snakemake.wildcards.network}",
        channel_order=snakemake.params.channel_order,
        input_shape=snakemake.params.input_shape,
    )
