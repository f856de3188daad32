"""Compare the embedded engine with Caffe on one network."""

from cnnvis.checks.engine_parity import compare_engines
from cnnvis.core.jobs import job
from cnnvis.engines.model import Model

with job(snakemake):
    images = snakemake.params.images
    compare_engines(
        Model(**snakemake.params.model),
        dict(zip(images, snakemake.input.arrays, strict=True)),
        snakemake.output[0],
        layers=snakemake.params.layers,
        classes=snakemake.params.classes,
        threads=snakemake.threads,
        network=snakemake.wildcards.network,
        python=snakemake.params.python,
    )
