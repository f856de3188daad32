"""Remove each filter of layers alone, and write what each class loses."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.importance.lesions import make_lesions
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    make_lesions(
        Streams.of(Model(**snakemake.params.model), snakemake),
        Places("results", network=snakemake.params.network),
        [ImageSet(**each) for each in snakemake.params.image_sets],
        snakemake.params.layers,
        zero=snakemake.params.zero,
    )
