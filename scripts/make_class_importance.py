"""Compute the importance of one layer's filters to a class, and compare it with other classes'."""

from cnnvis.activations.shared_orderings import read_orders
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.importance.class_importance import make_class_importance
from cnnvis.inputs.image_sets import ImageSet

with job(snakemake):
    make_class_importance(
        snakemake.input.sums,
        snakemake.output.table,
        snakemake.output.summary,
        snakemake.output.picture,
        layer=snakemake.params.layer,
        image_set=ImageSet(**snakemake.params.image_set),
        others=dict(zip(snakemake.params.others, snakemake.input.others, strict=True)),
        orders=read_orders(
            Places("results", network=snakemake.wildcards.network),
            snakemake.params.layer,
            snakemake.params.shared,
        ),
        title=f"Importance of {snakemake.params.layer} of {snakemake.wildcards.network} for neuron "
        f"{snakemake.params.image_set['cls']} over {snakemake.wildcards.collection}",
    )
