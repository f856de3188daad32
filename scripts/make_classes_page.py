"""Make the page on the classes of one network."""

from cnnvis.core.jobs import job
from cnnvis.pages.classes import classes_page

with job(snakemake):
    classes_page(
        snakemake.output[0],
        network=snakemake.wildcards.network,
        artefacts=snakemake.input.artefacts,
        labels=next(iter(snakemake.input.labels), None),
    )
