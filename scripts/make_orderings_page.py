"""Judge the orders of filters of one network, draw their distances, and make the page of both."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.pages.orderings import orderings_page

with job(snakemake):
    network = snakemake.params.network
    orderings_page(
        Places("results", network=network),
        snakemake.params.layers,
        network=network,
        image=snakemake.params.image,
        shown=snakemake.params.shown,
    )
