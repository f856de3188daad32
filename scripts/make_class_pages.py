"""Make the pages on the classes of one network."""

from cnnvis.core.jobs import job
from cnnvis.pages.classes import class_pages

with job(snakemake):
    class_pages(
        snakemake.output[0],
        network=snakemake.params.network,
        artefacts=snakemake.input.artefacts,
        labels=next(iter(snakemake.input.labels), None),
    )
