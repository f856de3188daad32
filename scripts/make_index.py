"""Make the page that leads to all others."""

from cnnvis.core.jobs import job
from cnnvis.pages.index import index_page

with job(snakemake):
    index_page(snakemake.output[0], snakemake.params.shown)
