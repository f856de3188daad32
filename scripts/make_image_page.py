"""Make the page of one image in one network."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.pages.images import image_page

with job(snakemake):
    image_page(
        Places("results", **snakemake.wildcards),
        Model(**snakemake.params.model),
        network=snakemake.wildcards.network,
        image=snakemake.wildcards.image,
        shown=snakemake.params.shown,
        what_if=snakemake.params.what_if,
        labels=next(iter(snakemake.input.labels), None),
    )
