"""Compare one neuron's gradients over the images of a comparison, layer by layer."""

from cnnvis.activations.shared_orderings import read_orders
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.gradients.comparisons import Comparison, make_comparison, read_members
from cnnvis.gradients.time_series import make_time_series
from cnnvis.pages.comparisons import comparison_page
from cnnvis.pages.viewers import comparison_viewer

with job(snakemake):
    params = snakemake.params
    files = Places("results", network=params.network, comparison=params.name)
    labels = next(iter(snakemake.input.labels), None)
    members = read_members(files, params.members, params.neuron, params.predicted, labels)
    names = {"name": params.name, "network": params.network, "neuron": params.neuron}
    summaries = []
    for layer, shared in params.layers.items():
        orders = {"orders": read_orders(files, layer, shared), "ordering": params.ordering}
        comparison = Comparison.read(members, layer, **names, **orders)
        summaries.append(make_comparison(files, comparison))
        make_time_series(files, comparison)
        comparison_viewer(files, comparison, responses=layer in params.responses)
    comparison_page(
        files,
        members,
        summaries,
        network=params.network,
        comparison=params.name,
        neuron=params.neuron,
        classes=params.classes,
        labels=labels,
    )
