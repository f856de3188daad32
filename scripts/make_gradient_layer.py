"""Write one neuron's gradient at one layer as volumes, pictures and a 3D page; rank the filters."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.gradients.weight_gradients import make_gradient_layer
from cnnvis.importance.filter_importance import write_importance
from cnnvis.pages.viewers import gradient_viewer

with job(snakemake):
    network, image, cls = (snakemake.wildcards[name] for name in ("network", "image", "cls"))
    layer, files = snakemake.params.layer, Places("results", network=network, image=image)
    title = f"of neuron {cls} by {layer} of {network} on {image}"
    gradient = make_gradient_layer(
        files, layer=layer, cls=cls, kinds=snakemake.params.kinds, title=title
    )
    write_importance(
        snakemake.output.table,
        snakemake.output.map,
        gradient,
        layer=layer,
        title=f"Importance of {layer} of {network} for neuron {cls} on {image}",
    )
    gradient_viewer(files, gradient, layer=layer, cls=cls, network=network, image=image)
