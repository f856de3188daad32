"""Prune a layer in the order of its filters' importance to a class, and count the errors."""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.importance.pruning import PruningFiles, PruningInputs, PruningSettings, make_pruning
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    outputs = dict(snakemake.output.items())
    make_pruning(
        Streams.of(Model(**snakemake.params.model), snakemake),
        [ImageSet(**image_set) for image_set in snakemake.params.image_sets],
        PruningInputs(
            snakemake.input.importance,
            snakemake.input.effects,
            next(iter(snakemake.input.responses), None),
        ),
        PruningFiles(**outputs) if outputs else None,
        PruningSettings(snakemake.params.layer, **snakemake.params.pruning),
        title=f"Pruning {snakemake.params.layer} of {snakemake.wildcards.network} by its "
        f"importance to {snakemake.wildcards.collection}",
    )
