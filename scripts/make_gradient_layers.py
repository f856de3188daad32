"""Write one neuron's gradient at each layer as volumes, pictures and 3D pages; rank the filters."""

from cnnvis.activations.shared_orderings import read_orders
from cnnvis.core.files import safe_name
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.gradients.layers import make_gradient_layer
from cnnvis.importance.filter_importance import write_importance
from cnnvis.pages.viewers import gradient_viewer

with job(snakemake):
    network, image = snakemake.params.network, snakemake.wildcards.image
    cls, files = int(snakemake.wildcards.cls), Places("results", network=network, image=image)
    orderings, kinds = snakemake.params.orderings, snakemake.params.kinds
    for facts in snakemake.params.layers:
        name, shown = facts["name"], facts["gradient_orderings"]
        own = {x: orderings[x]["how"] for x in shown if orderings[x]["by"] == "shown"}
        others = [x for x in shown if x not in {*own, *facts["shared"]}]
        shared = read_orders(files, name, facts["shared"])
        orders = {"orderings": own, "orders": read_orders(files, name, others, "ordering") | shared}
        title = f"of neuron {cls} by {name} of {network} on {image}"
        layer = make_gradient_layer(files, layer=name, cls=cls, kinds=kinds, title=title, **orders)
        where = {"cls": cls, "layer": safe_name(name)}
        write_importance(
            *(files(f"importance {kind}", **where) for kind in ("table", "picture")),
            layer.gradient,
            layer=name,
            title=f"Importance of {name} of {network} for neuron {cls} on {image}",
            orders=shared,
        )
        responses = name in snakemake.params.responses
        gradient_viewer(files, layer, network=network, image=image, responses=responses)
