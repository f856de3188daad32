"""Compare a run with what the study published."""

from cnnvis.checks.reproduction import Run, make_verification
from cnnvis.core.jobs import job

with job(snakemake):
    files, verified = snakemake.input, snakemake.params.verified
    make_verification(snakemake.output[0], Run.of(verified, files))
