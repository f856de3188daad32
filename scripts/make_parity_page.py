"""Make the page on how faithful the embedded engine is."""

from cnnvis.core.jobs import job
from cnnvis.pages.parity import parity_page

with job(snakemake):
    parity_page(snakemake.output.page, snakemake.output.report, snakemake.input)
