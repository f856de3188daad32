"""Cut held-out crops from one of the photographs that photonet was trained on."""

from cnnvis.core.jobs import job
from cnnvis.inputs.photographs import make_crops

with job(snakemake):
    make_crops(snakemake.params.label, snakemake.params.crops, snakemake.output[0])
