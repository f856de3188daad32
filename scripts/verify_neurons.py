"""Find the neuron whose gradients were published for one image."""

from cnnvis.checks.neuron_search import make_fit
from cnnvis.core.jobs import job

with job(snakemake):
    make_fit(
        snakemake.input.prototxt,
        snakemake.input.weights,
        snakemake.input.array,
        snakemake.output[0],
        published=dict(zip(snakemake.params.layers, snakemake.input.published, strict=True)),
        score=snakemake.params.score,
        neuron=snakemake.params.neuron,
        threads=snakemake.threads,
        surplus=snakemake.params.surplus,
        input_shape=snakemake.params.input_shape,
    )
