"""Fail unless a run agrees with what the study published."""

from cnnvis.checks.reproduction import require_agreement
from cnnvis.core.jobs import job

with job(snakemake):
    require_agreement(snakemake.input.report)
