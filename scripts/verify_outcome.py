"""Fail unless a run agrees with what the study published."""

from cnnvis.jobs import job
from cnnvis.verification import require_agreement

with job(snakemake):
    require_agreement(snakemake.input.report)
