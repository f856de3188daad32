"""Weigh the filters of one layer for a class, and compare its images with other classes'."""

from cnnvis.core.jobs import job
from cnnvis.importance.class_importance import make_class_importance

with job(snakemake):
    make_class_importance(
        snakemake.input.sums,
        snakemake.output.table,
        snakemake.output.summary,
        snakemake.output.picture,
        layer=snakemake.params.layer,
        cls=snakemake.params.cls,
        collection=snakemake.wildcards.collection,
        others=dict(zip(snakemake.params.others, snakemake.input.others, strict=True)),
        title=f"Importance of {snakemake.params.layer} of {snakemake.wildcards.network} for neuron "
        f"{snakemake.params.cls} over {snakemake.wildcards.collection}",
    )
