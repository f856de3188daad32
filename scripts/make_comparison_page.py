"""Make the page of one comparison."""

from cnnvis.core.jobs import groups_of, job
from cnnvis.pages import make_comparison_page

with job(snakemake):
    make_comparison_page(
        snakemake.output[0],
        network=snakemake.wildcards.network,
        comparison=snakemake.wildcards.comparison,
        neuron=snakemake.params.neuron,
        groups=groups_of(snakemake),
        artefacts=[*snakemake.input.layers, *snakemake.input.members],
        labels=next(iter(snakemake.input.labels), None),
    )
