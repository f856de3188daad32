"""What makes a job run again that Snakemake itself does not see.

Input: every rule, so that this file is the last one.
Output: a param of each: what became of its files.
"""

from cnnvis.core.files import fingerprint


onstart:
    # Snakemake, which removes old outputs first, would end in a traceback.
    if os.path.exists("results") and not os.access("results", os.W_OK):
        print("cnnvis: results: cannot be written; allow it, or run elsewhere", file=sys.stderr)
        sys.exit(1)


def state(wildcards, **job):
    """Return what of a job's files Snakemake does not see itself, as a param of every job.

    Of inputs that no job makes, the fingerprints: Snakemake takes files for new by their dates, and
    one that is replaced may have an older date. Of outputs, while jobs are planned, those that are
    gone: Snakemake looks only for files that other jobs wait for.
    """
    inputs = [file for file in job["input"] if not file.startswith("results/")]
    fingerprints = list(map(fingerprint, inputs))
    if workflow.scheduler is None:
        return fingerprints + [file for file in job["output"] if not os.path.exists(file)]
    # Else what a job was planned with would be recorded.
    workflow.persistence._params.cache_clear()
    return fingerprints


for each in workflow.rules:
    each.set_params(state=state)
