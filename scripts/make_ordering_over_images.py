"""Order the filters of each layer over several images."""

from cnnvis.activations.shared_orderings import make_ordering_over_images
from cnnvis.core.jobs import job
from cnnvis.core.places import Places

with job(snakemake):
    make_ordering_over_images(
        Places("results", network=snakemake.params.network),
        snakemake.params.name,
        snakemake.params.ordering,
        snakemake.params.layers,
    )
