"""Order, draw and write the feature maps of each layer, and make its 3D page."""

from cnnvis.activations.layers import make_layer
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.pages.viewers import volume_viewer

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    files = Places("results", network=network, image=image)
    for facts in snakemake.params.layers:
        layer = make_layer(
            files,
            layer=facts["name"],
            blob=facts["blob"],
            orderings=snakemake.params.orderings,
            volumes=facts["volumes"],
            slices=facts["slices"],
            title=f"{facts['name']} of {network} on {image}",
        )
        if facts["volumes"]:
            volume_viewer(files, layer, network=network, image=image)
