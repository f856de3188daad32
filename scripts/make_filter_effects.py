"""Remove each filter of a layer alone, over an image set: what does that do to its classes?"""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.importance.filter_effects import make_filter_effects
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    make_filter_effects(
        Streams.of(Model(**snakemake.params.model), snakemake),
        ImageSet(**snakemake.params.image_set),
        layer=snakemake.params.layer,
        zero=snakemake.params.zero,
    )
