"""Make the page that leads to all others, and the one on what numbers mean."""

from cnnvis.core.jobs import job
from cnnvis.pages.index import index_page, methods_page

with job(snakemake):
    index_page(snakemake.output.page, snakemake.params.shown, snakemake.params.run)
    methods_page(snakemake.output.methods, snakemake.params.run)
