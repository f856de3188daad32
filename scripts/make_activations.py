"""Preprocess one image and run a network on it."""

from cnnvis.activations.forward import make_forward
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    make_forward(
        Model(**snakemake.params.model),
        Preprocessing(**snakemake.params.preprocessing),
        snakemake.params.source,
        Places("results", **snakemake.wildcards),
        crop=snakemake.params.crop,
        threads=snakemake.threads,
    )
