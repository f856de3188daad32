"""Make the page of each layer's filters: what they respond to."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.pages.responses import response_page

with job(snakemake):
    for layer in snakemake.params.layers:
        response_page(
            Places("results", network=snakemake.params.network),
            Model(**snakemake.params.model),
            network=snakemake.params.network,
            layer=layer,
            artefacts=[*snakemake.output, *snakemake.input.artefacts],
            labels=next(iter(snakemake.input.labels), None),
        )
