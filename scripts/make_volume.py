"""Write one layer's outputs as volumes."""

from cnnvis.activations.volumes import make_volume
from cnnvis.core.jobs import job

with job(snakemake):
    make_volume(
        snakemake.input.blobs,
        snakemake.input.ordering,
        snakemake.output.vox,
        snakemake.output.binary_vox,
        blob=snakemake.params.blob,
        binarise=snakemake.params.binarise,
        percentile=snakemake.params.percentile,
    )
