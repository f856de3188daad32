"""Write one neuron's gradient at each layer as volumes, pictures and 3D pages; rank the filters."""

from cnnvis.core.files import safe_name
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.gradients.weight_gradients import make_gradient_layer
from cnnvis.importance.filter_importance import write_importance
from cnnvis.pages.viewers import gradient_viewer

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    cls, files = snakemake.wildcards.cls, Places("results", network=network, image=image)
    for layer in snakemake.params.layers:
        title = f"of neuron {cls} by {layer} of {network} on {image}"
        gradient = make_gradient_layer(
            files, layer=layer, cls=cls, kinds=snakemake.params.kinds, title=title
        )
        write_importance(
            files("importance table", cls=cls, layer=safe_name(layer)),
            files("importance picture", cls=cls, layer=safe_name(layer)),
            gradient,
            layer=layer,
            title=f"Importance of {layer} of {network} for neuron {cls} on {image}",
        )
        gradient_viewer(files, gradient, layer=layer, cls=cls, network=network, image=image)
