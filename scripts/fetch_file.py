"""Fetch a file that is not here."""

from cnnvis.downloads import fetch_file
from cnnvis.jobs import job

with job(snakemake):
    fetch_file(snakemake.params.source, snakemake.output[0])
