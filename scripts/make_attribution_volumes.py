"""Write attributions at one layer as volumes and draw them, one of each kind."""

from cnnvis.core.jobs import job
from cnnvis.gradients.attributions import KINDS, make_attribution_volume

with job(snakemake):
    for kind, vox, picture in zip(
        snakemake.params.kinds, snakemake.output.volumes, snakemake.output.pictures, strict=True
    ):
        make_attribution_volume(
            snakemake.input[0],
            vox,
            picture,
            layer=snakemake.params.layer,
            kind=kind,
            title=f"{KINDS[kind].title}: neuron {snakemake.wildcards.cls} by "
            f"{snakemake.params.layer} of {snakemake.wildcards.network} on "
            f"{snakemake.wildcards.image}",
        )
