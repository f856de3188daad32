"""Order the filters of each layer over the images of a collection, in one pass."""

from cnnvis.activations.shared_orderings import make_ordering_over_collection
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    make_ordering_over_collection(
        Streams.of(Model(**snakemake.params.model), snakemake),
        Places("results", network=snakemake.params.network),
        snakemake.params.name,
        snakemake.params.ordering,
        snakemake.params.layers,
        ImageSet(**snakemake.params.image_set),
    )
