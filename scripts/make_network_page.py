"""Make the page of one network."""

from cnnvis.core.jobs import job
from cnnvis.engines.numpy.graph import read_graph
from cnnvis.pages.networks import network_page

with job(snakemake):
    network_page(
        snakemake.output[0],
        network=snakemake.wildcards.network,
        graph=read_graph(snakemake.input.prototxt, snakemake.params.input_shape),
        shown=snakemake.params.shown,
    )
