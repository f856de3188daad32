"""Write the networks without a layer's least important filters, and a report on each."""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.importance.pruned_networks import PrunedFiles, PrunedSettings, make_pruned_networks
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    outputs = [snakemake.output.get(kind, []) for kind in ("networks", "weights", "reports")]
    make_pruned_networks(
        Streams.of(Model(**snakemake.params.model), snakemake),
        [ImageSet(**image_set) for image_set in snakemake.params.image_sets],
        snakemake.input.importance,
        next(iter(snakemake.input.responses), None),
        [PrunedFiles(*paths) for paths in zip(*outputs, strict=True)],
        PrunedSettings(snakemake.params.layer, **snakemake.params.settings),
    )
