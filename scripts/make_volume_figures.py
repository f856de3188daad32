"""Draw the feature maps of each layer as volumes for papers, one panel for each order."""

from cnnvis.activations.shared_orderings import read_orders
from cnnvis.core.arrays import read_array
from cnnvis.core.files import safe_name
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.core.volume_figures import FORMATS, draw_volumes

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    files = Places("results", network=network, image=image)
    for facts in snakemake.params.layers:
        name, shared = facts["name"], facts["shared"]
        own = [ordering for ordering in facts["orderings"] if ordering not in shared]
        orders = read_orders(files, name, own, "ordering") | read_orders(files, name, shared)
        maps = read_array(files("blobs"), facts["blob"])
        draw_volumes(
            [files("figure", layer=safe_name(name), format=suffix) for suffix in FORMATS],
            {ordering: maps[orders[ordering]["permutation"]] for ordering in facts["orderings"]},
            title=f"{name} of {network} on {image}",
            label="activation",
        )
