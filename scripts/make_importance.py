"""Weigh the filters of one layer."""

from cnnvis.core.jobs import job
from cnnvis.importance.filter_importance import make_importance

with job(snakemake):
    make_importance(
        snakemake.input[0],
        snakemake.output.table,
        snakemake.output.picture,
        layer=snakemake.params.layer,
        title=f"Importance of {snakemake.params.layer} of {snakemake.wildcards.network} for neuron "
        f"{snakemake.wildcards.cls} on {snakemake.wildcards.image}",
    )
