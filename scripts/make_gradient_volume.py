"""Write one layer's gradient as a volume and draw it."""

from cnnvis.core.jobs import job
from cnnvis.gradients.weight_gradients import make_gradient_volume

with job(snakemake):
    make_gradient_volume(
        snakemake.input[0],
        snakemake.output.vox,
        snakemake.output.picture,
        layer=snakemake.params.layer,
        title=f"Gradient of neuron {snakemake.wildcards.cls} by {snakemake.params.layer} of "
        f"{snakemake.wildcards.network} on {snakemake.wildcards.image}",
    )
