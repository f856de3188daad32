"""Average the gradients' norms over a collection, for all layers in one pass."""

from cnnvis.core.jobs import job
from cnnvis.importance.class_importance import make_class_sums

with job(snakemake):
    make_class_sums(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.output[0],
        name=snakemake.wildcards.collection,
        path=snakemake.params.collection["path"],
        cls=snakemake.params.collection["cls"],
        limit=snakemake.params.collection["limit"],
        layers=snakemake.params.layers,
        score=snakemake.params.score,
        engine=snakemake.params.engine,
        engine_options=snakemake.params.engine_options,
        mean=snakemake.params.mean,
        input_scale=snakemake.params.input_scale,
        channel_order=snakemake.params.channel_order,
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
    )
