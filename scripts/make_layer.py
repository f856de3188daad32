"""Order, draw and write the feature maps of one layer, and make its 3D page."""

from cnnvis.activations.layers import make_layer
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.pages.viewers import volume_viewer

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    files = Places("results", network=network, image=image)
    layer = make_layer(
        files,
        layer=snakemake.params.layer,
        blob=snakemake.params.blob,
        orderings=snakemake.params.orderings,
        volumes=snakemake.params.volumes,
        slices=snakemake.params.slices,
        title=f"{snakemake.params.layer} of {network} on {image}",
    )
    if snakemake.params.volumes:
        volume_viewer(files, layer, network=network, image=image)
