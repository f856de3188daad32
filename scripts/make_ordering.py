"""Order the filters of one layer."""

from cnnvis.activations.orderings import make_ordering
from cnnvis.core.jobs import job

with job(snakemake):
    make_ordering(
        snakemake.input[0],
        snakemake.output[0],
        blob=snakemake.params.blob,
        **snakemake.params.ordering,
    )
