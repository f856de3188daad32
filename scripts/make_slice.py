"""Cluster and order one row of one layer's outputs."""

from cnnvis.activations.slices import make_slice
from cnnvis.core.jobs import job

with job(snakemake):
    make_slice(
        snakemake.input[0],
        dict(zip(snakemake.params.clusters, snakemake.output.kmeans, strict=True)),
        snakemake.output.pca,
        snakemake.output.table,
        layer=snakemake.params.layer,
        blob=snakemake.params.blob,
        row=int(snakemake.wildcards.row),
        seed=snakemake.params.seed,
        title=f"Row {snakemake.wildcards.row} of {snakemake.params.layer} of "
        f"{snakemake.wildcards.network} on {snakemake.wildcards.image}",
    )
