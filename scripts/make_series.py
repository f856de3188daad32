"""Write one neuron's gradients over groups of images as time series."""

from cnnvis.core.jobs import groups_of, job
from cnnvis.gradients.time_series import make_series

with job(snakemake):
    make_series(
        groups_of(snakemake),
        snakemake.output.nii,
        snakemake.output.pvd,
        snakemake.output.frames,
        snakemake.output.webp,
        snakemake.output.gif,
        snakemake.output.still,
        layer=snakemake.params.layer,
        neuron=snakemake.params.neuron,
        title=f"{snakemake.wildcards.comparison}: gradient of neuron {snakemake.params.neuron} by "
        f"{snakemake.params.layer} of {snakemake.wildcards.network}",
    )
