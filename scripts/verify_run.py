"""Compare a run with what the study published."""

from cnnvis.checks.reproduction import Run, make_verification
from cnnvis.core.jobs import job

with job(snakemake):
    make_verification(
        snakemake.output.report, snakemake.output.pictures, Run.of(snakemake.params.run)
    )
