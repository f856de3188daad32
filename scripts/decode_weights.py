"""Decode weights from their Deep Compression form."""

from cnnvis.core.jobs import job
from cnnvis.engines.inspection import inspect
from cnnvis.inputs.deep_compression import decode_network

with job(snakemake):
    prototxt = snakemake.input.prototxt
    decode_network(snakemake.input.compressed, prototxt, inspect(prototxt), snakemake.output[0])
