"""Remove filters by their importance to a class, and count its errors and others'."""

from cnnvis.core.jobs import job
from cnnvis.importance.pruning import make_pruning

with job(snakemake):
    make_pruning(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.input.importance,
        snakemake.output.table,
        snakemake.output.summary,
        snakemake.output.picture,
        snakemake.output.vector_picture,
        collection=snakemake.wildcards.collection,
        collections=snakemake.params.collections,
        layer=snakemake.params.layer,
        zero=snakemake.params.pruning["zero"],
        steps=snakemake.params.pruning["steps"],
        seeds=snakemake.params.pruning["random_seeds"],
        score=snakemake.params.score,
        engine=snakemake.params.engine,
        engine_options=snakemake.params.engine_options,
        mean=snakemake.params.mean,
        input_scale=snakemake.params.input_scale,
        channel_order=snakemake.params.channel_order,
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
        title=f"Pruning {snakemake.params.layer} of {snakemake.wildcards.network} by its "
        f"importance to {snakemake.wildcards.collection}",
    )
