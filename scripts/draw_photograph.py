"""Draw an image as a network would see it, without running the network."""

from cnnvis.activations.forward import write_picture
from cnnvis.core.jobs import job
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    preprocessing = Preprocessing(**snakemake.params.preprocessing)
    values = preprocessing(snakemake.params.source, snakemake.params.crop)
    write_picture(snakemake.output[0], preprocessing.undo(values))
