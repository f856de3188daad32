"""Make the page on the classes of one network."""

from cnnvis.core.jobs import job
from cnnvis.pages import make_classes_page

with job(snakemake):
    make_classes_page(
        snakemake.output[0], network=snakemake.wildcards.network, artefacts=snakemake.input
    )
