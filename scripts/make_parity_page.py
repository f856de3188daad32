"""Make the page on how faithful the embedded engine is."""

from cnnvis.core.jobs import job
from cnnvis.pages import make_parity_page

with job(snakemake):
    make_parity_page(snakemake.output.page, snakemake.output.report, reports=snakemake.input)
