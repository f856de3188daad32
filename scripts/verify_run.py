"""Compare a run with what the study published, and show it on a page."""

from cnnvis.checks.reproduction import Run, make_verification
from cnnvis.core.jobs import job
from cnnvis.pages.verification import verification_page

with job(snakemake):
    output = snakemake.output
    make_verification(output.report, output.pictures, Run.of(snakemake.params.run))
    verification_page(output.page, output.report, snakemake.input.recovered)
