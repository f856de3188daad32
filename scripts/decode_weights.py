"""Decode weights from their Deep-Compression form."""

from cnnvis.compression import decode_network
from cnnvis.jobs import job

with job(snakemake):
    decode_network(snakemake.input.compressed, snakemake.input.prototxt, snakemake.output[0])
