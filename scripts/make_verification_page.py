"""Make the page on how close a run came to the study."""

from cnnvis.core.jobs import job
from cnnvis.pages.verification import verification_page

with job(snakemake):
    verification_page(snakemake.output[0], snakemake.input.report, snakemake.input.recovered)
