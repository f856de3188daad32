"""Compute the importance of one layer's filters to a neuron over images of another class."""

from cnnvis.core.jobs import job
from cnnvis.importance.neuron_importance import make_neuron_importance

with job(snakemake):
    make_neuron_importance(
        snakemake.input.sums,
        dict(zip(snakemake.params.own, snakemake.input.own, strict=True)),
        snakemake.output.table,
        snakemake.output.summary,
        snakemake.output.picture,
        layer=snakemake.params.layer,
        neuron=int(snakemake.wildcards.cls),
        image_set=snakemake.wildcards.collection,
        title=f"Importance of {snakemake.params.layer} of {snakemake.wildcards.network} for neuron "
        f"{snakemake.wildcards.cls} over images of another class",
    )
