"""Compare the embedded engine with real Caffe on one network."""

from cnnvis.checks.engine_parity import compare_engines
from cnnvis.core.jobs import job

with job(snakemake):
    images = snakemake.params.images
    compare_engines(
        snakemake.input.prototxt,
        snakemake.input.weights,
        dict(zip(images, snakemake.input.arrays, strict=True)),
        snakemake.output[0],
        network=snakemake.wildcards.network,
        score=snakemake.params.score,
        layers=snakemake.params.layers,
        classes={image: shown["classes"] for image, shown in images.items()},
        surplus=snakemake.params.surplus,
        input_shape=snakemake.params.input_shape,
        threads=snakemake.threads,
        engine_options=snakemake.params.engine_options,
    )
