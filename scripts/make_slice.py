"""Cluster and order one row of one layer's outputs."""

from cnnvis.jobs import job
from cnnvis.slices import make_slice

with job(snakemake):
    make_slice(
        snakemake.input[0],
        {
            "kmeans": dict(zip(snakemake.params.clusters, snakemake.output.kmeans, strict=True)),
            "pca": snakemake.output.pca,
            "table": snakemake.output.table,
        },
        layer=snakemake.params.layer,
        blob=snakemake.params.blob,
        row=int(snakemake.wildcards.row),
        clusters=snakemake.params.clusters,
        seed=snakemake.params.seed,
    )
