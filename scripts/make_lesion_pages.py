"""Make the page of each layer: which classes need which filters."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.pages.lesions import lesion_page

with job(snakemake):
    for layer in snakemake.params.layers:
        lesion_page(
            Places("results", network=snakemake.params.network),
            network=snakemake.params.network,
            layer=layer,
            shown=snakemake.params.shown,
            labels=next(iter(snakemake.input.labels), None),
        )
