"""Make the page on recovered filters."""

from cnnvis.core.jobs import job
from cnnvis.pages.recovery import recovery_page

with job(snakemake):
    recovery_page(snakemake.output[0], snakemake.input.reports)
