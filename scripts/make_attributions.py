"""Attribute one neuron to pixels and to weights, and draw the saliency map."""

from cnnvis.core.jobs import job
from cnnvis.gradients.attributions import make_attributions
from cnnvis.gradients.saliency_figure import make_saliency

with job(snakemake):
    make_attributions(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.input.array,
        snakemake.input.gradients,
        snakemake.output.attributions,
        snakemake.output.data_gradient,
        snakemake.output.saliency,
        engine=snakemake.params.engine,
        engine_options=snakemake.params.engine_options,
        score=snakemake.params.score,
        cls=int(snakemake.wildcards.cls),
        kinds=snakemake.params.kinds,
        layers=snakemake.params.layers,
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
    )
    make_saliency(
        snakemake.output.data_gradient,
        snakemake.input.array,
        snakemake.output.picture,
        mean=snakemake.params.mean,
        input_scale=snakemake.params.input_scale,
        channel_order=snakemake.params.channel_order,
        title=f"Saliency of neuron {snakemake.wildcards.cls} of {snakemake.wildcards.network} on "
        f"{snakemake.wildcards.image}",
    )
