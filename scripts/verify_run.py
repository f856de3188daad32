"""Compare a run with what the study published."""

from cnnvis.jobs import job
from cnnvis.verification import Run, make_verification

with job(snakemake):
    files, verified = snakemake.input, snakemake.params.verified
    make_verification(snakemake.output[0], Run.of(verified, files))
