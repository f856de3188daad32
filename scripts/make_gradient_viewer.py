"""Make the 3D page of one layer's gradient."""

from cnnvis.core.jobs import job
from cnnvis.pages import make_gradient_viewer

with job(snakemake):
    make_gradient_viewer(
        snakemake.input.gradients,
        snakemake.output[0],
        layer=snakemake.params.layer,
        cls=int(snakemake.wildcards.cls),
        network=snakemake.wildcards.network,
        image=snakemake.wildcards.image,
        files=snakemake.input.volumes,
    )
