"""Run a network over image sets once, and write what each of its filters responds to."""

from cnnvis.activations.responses import make_responses
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    make_responses(
        Streams.of(Model(**snakemake.params.model), snakemake),
        Places("results", network=snakemake.params.network),
        [ImageSet(**each) for each in snakemake.params.image_sets],
        snakemake.params.layers,
        snakemake.params.k,
    )
