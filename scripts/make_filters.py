"""Draw the filters of every convolution of a network; write a small network for its pages."""

from cnnvis.activations.filters import make_filters
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.engines.programs import write_program

with job(snakemake):
    files = Places("results", **snakemake.params.place)
    model = Model(**snakemake.params.model)
    make_filters(
        files,
        model,
        layers=snakemake.params.layers,
        **snakemake.params.place,
        channel_order=snakemake.params.channel_order,
    )
    if snakemake.params.what_if:
        write_program(files("what-if network"), model)
