"""Compare one neuron's gradients over the images of a comparison, layer by layer."""

from cnnvis.activations.shared_orderings import read_orders
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.gradients.comparisons import Comparison, make_comparison, read_members
from cnnvis.gradients.time_series import make_time_series
from cnnvis.pages.comparisons import comparison_page
from cnnvis.pages.viewers import comparison_viewer

with job(snakemake):
    name, network, neuron = (snakemake.params[key] for key in ("name", "network", "neuron"))
    files = Places("results", network=network, comparison=name)
    members = read_members(files, snakemake.params.members, neuron, snakemake.params.predicted)
    summaries = []
    for layer, shared in snakemake.params.layers.items():
        comparison = Comparison.read(
            members,
            layer,
            name=name,
            network=network,
            neuron=neuron,
            orders=read_orders(files, layer, shared),
            ordering=snakemake.params.ordering,
        )
        summaries.append(make_comparison(files, comparison))
        make_time_series(files, comparison)
        comparison_viewer(files, comparison)
    comparison_page(
        files,
        members,
        summaries,
        network=network,
        comparison=name,
        neuron=neuron,
        classes=snakemake.params.classes,
        labels=next(iter(snakemake.input.labels), None),
    )
