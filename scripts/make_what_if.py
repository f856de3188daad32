"""Make the page on which filters are switched off for one image."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.pages.what_if import what_if_page

with job(snakemake):
    names = {**snakemake.params.place, **snakemake.wildcards}
    what_if_page(
        Places("results", **names),
        Model(**snakemake.params.model),
        **names,
        labels=next(iter(snakemake.input.labels), None),
    )
