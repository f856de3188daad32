"""Compare one neuron's gradients over groups of images."""

from cnnvis.core.jobs import groups_of, job
from cnnvis.gradients.comparisons import make_comparison

with job(snakemake):
    make_comparison(
        groups_of(snakemake),
        snakemake.output.picture,
        snakemake.output.table,
        snakemake.output.summary,
        layer=snakemake.params.layer,
        neuron=snakemake.params.neuron,
        title=f"{snakemake.wildcards.comparison}: gradient of neuron {snakemake.params.neuron} by "
        f"{snakemake.params.layer} of {snakemake.wildcards.network}",
    )
