"""Make the 3D series of one neuron's gradients over groups of images."""

from cnnvis.core.jobs import groups_of, job
from cnnvis.pages import make_comparison_viewer

with job(snakemake):
    make_comparison_viewer(
        groups_of(snakemake),
        snakemake.output[0],
        layer=snakemake.params.layer,
        neuron=snakemake.params.neuron,
        network=snakemake.wildcards.network,
        comparison=snakemake.wildcards.comparison,
    )
