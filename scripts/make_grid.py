"""Draw the outputs of one layer's filters."""

from cnnvis.activations.grids import make_grid
from cnnvis.core.jobs import job

with job(snakemake):
    make_grid(
        snakemake.input.blobs,
        snakemake.input.ordering,
        snakemake.output[0],
        layer=snakemake.params.layer,
        blob=snakemake.params.blob,
        title=f"{snakemake.params.layer} of {snakemake.wildcards.network} on "
        f"{snakemake.wildcards.image}, {snakemake.wildcards.ordering} order",
    )
