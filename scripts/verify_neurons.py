"""Find the neuron whose gradients were published for one image."""

from cnnvis.checks.neuron_search import make_fit
from cnnvis.core.jobs import job
from cnnvis.engines.model import Model

with job(snakemake):
    make_fit(
        Model(**snakemake.params.model),
        snakemake.input.array,
        snakemake.output[0],
        published=snakemake.params.published,
        neuron=snakemake.params.neuron,
        threads=snakemake.threads,
    )
