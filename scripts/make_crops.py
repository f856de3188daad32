"""Cut held-out crops from one of the photographs that photonet was trained on."""

import sys
from pathlib import Path

from cnnvis.core.jobs import job
from cnnvis.inputs.image_sets import write_crops

with job(snakemake):
    # Which photographs there are and which part is held out is the business of the model.
    sys.path.insert(0, str(Path(snakemake.input.photographs).parent))
    from photographs import held_out_crops, read_photographs

    photograph = read_photographs()[snakemake.params.label]
    crops = held_out_crops(snakemake.params.label, photograph.shape, snakemake.params.crops)
    write_crops(photograph, crops, snakemake.output[0])
