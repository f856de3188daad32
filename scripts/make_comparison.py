"""Compare one neuron's gradients over groups of images."""

from cnnvis.comparisons import make_comparison
from cnnvis.jobs import groups_of, job

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
