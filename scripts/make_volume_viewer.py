"""Make the 3D page of one layer's outputs."""

from cnnvis.core.jobs import job
from cnnvis.pages import make_volume_viewer

with job(snakemake):
    make_volume_viewer(
        snakemake.input.blobs,
        dict(zip(snakemake.params.orderings, snakemake.input.orderings, strict=True)),
        snakemake.output[0],
        layer=snakemake.params.layer,
        blob=snakemake.params.blob,
        network=snakemake.wildcards.network,
        image=snakemake.wildcards.image,
        files=snakemake.input.volumes,
    )
