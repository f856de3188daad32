"""Remove each filter of layers alone, and write what each class loses."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.importance.lesions import make_lesions
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    make_lesions(
        Places("results", network=snakemake.params.network),
        Model(**snakemake.params.model),
        Preprocessing(**snakemake.params.preprocessing),
        [ImageSet(**each) for each in snakemake.params.image_sets],
        snakemake.params.layers,
        zero=snakemake.params.zero,
        labels=next(iter(snakemake.input.labels), None),
        code=snakemake.params.code,
        threads=snakemake.threads,
    )
