"""Draw one neuron's gradient at each layer as a volume for papers."""

from cnnvis.core.arrays import read_array
from cnnvis.core.files import safe_name
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.core.volume_figures import FORMATS, draw_volumes
from cnnvis.gradients.volumes import sum_channels

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    cls, files = snakemake.wildcards.cls, Places("results", network=network, image=image)
    for layer in snakemake.params.layers:
        where = {"cls": cls, "layer": safe_name(layer)}
        gradient = read_array(files("gradients", cls=cls), layer, "gradient of layer")
        draw_volumes(
            [files("gradient figure", format=suffix, **where) for suffix in FORMATS],
            {"channels summed": sum_channels(gradient)},
            title=f"Neuron {cls} by {layer} of {network} on {image}",
            label="gradient",
        )
