"""Prune a layer in the order of its filters' importance to a class, and count the errors."""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.importance.pruning import PruningFiles, PruningInputs, PruningSettings, make_pruning
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    make_pruning(
        Model(**snakemake.params.model),
        Preprocessing(**snakemake.params.preprocessing),
        [ImageSet(**image_set) for image_set in snakemake.params.image_sets],
        PruningInputs(
            snakemake.input.importance,
            snakemake.input.effects,
            next(iter(snakemake.input.responses), None),
        ),
        PruningFiles(**dict(snakemake.output.items())),
        PruningSettings(snakemake.params.layer, **snakemake.params.pruning),
        title=f"Pruning {snakemake.params.layer} of {snakemake.wildcards.network} by its "
        f"importance to {snakemake.wildcards.collection}",
        code=snakemake.params.code,
        threads=snakemake.threads,
    )
