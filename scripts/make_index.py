"""Make the page that leads to all others."""

from cnnvis.core.jobs import job
from cnnvis.pages import make_index

with job(snakemake):
    make_index(snakemake.output[0], artefacts=snakemake.input)
