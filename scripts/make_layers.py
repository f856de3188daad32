"""Order, draw and write the feature maps of each layer, for its sheet and its 3D page, too."""

from cnnvis.activations.layers import make_layer
from cnnvis.activations.shared_orderings import orders_of_maps
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.pages.maps import write_maps
from cnnvis.pages.viewers import volume_viewer

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    files, orderings = Places("results", network=network, image=image), snakemake.params.orderings
    for facts in snakemake.params.layers:
        orders = orders_of_maps(files, facts["name"], facts["orderings"], orderings)
        layer = make_layer(
            files,
            layer=facts["name"],
            blob=facts["blob"],
            orderings={x: orderings[x]["how"] for x in facts["orderings"] if x not in orders},
            volumes=facts["volumes"],
            slices=facts["slices"],
            title=f"{facts['name']} of {network} on {image}",
            orders=orders,
        )
        write_maps(files, layer)
        if facts["volumes"]:
            responses = facts["name"] in snakemake.params.responses
            volume_viewer(files, layer, network=network, image=image, responses=responses)
