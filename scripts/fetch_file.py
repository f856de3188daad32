"""Download a missing file."""

from cnnvis.core.jobs import job
from cnnvis.inputs.downloads import fetch_file

with job(snakemake):
    fetch_file(snakemake.params.source, snakemake.output[0])
