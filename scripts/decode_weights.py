"""Decode weights from their Deep Compression form."""

from cnnvis.core.jobs import job
from cnnvis.inputs.deep_compression import decode_network

with job(snakemake):
    decode_network(snakemake.input.compressed, snakemake.input.prototxt, snakemake.output[0])
