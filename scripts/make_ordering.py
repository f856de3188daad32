"""Order the filters of one layer."""

from cnnvis.jobs import job
from cnnvis.orderings import make_ordering

with job(snakemake):
    make_ordering(
        snakemake.input[0],
        snakemake.output[0],
        blob=snakemake.params.blob,
        **snakemake.params.ordering,
    )
