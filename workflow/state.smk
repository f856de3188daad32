"""What makes a job run again that Snakemake itself does not see.

Input: every rule, so that this file is the last one.
Output: a param of each: what became of its files.
"""

from snakemake.io import is_flagged

from cnnvis.core.files import fingerprint


onstart:  # The only one: of several, Snakemake runs the last.
    drop_default_limit()
    # Snakemake, which removes old outputs first, would end in a traceback.
    if os.path.exists("results") and not os.access("results", os.W_OK):
        print("cnnvis: results: cannot be written; allow it, or run elsewhere", file=sys.stderr)
        sys.exit(1)


def of_inputs(wildcards, **job):
    """Return the fingerprints of the inputs that no job makes, as a param of every job.

    Snakemake takes files for new by their dates, and one that is replaced may have an older date.
    """
    if workflow.scheduler is not None:  # Else what a job was planned with would be recorded.
        workflow.persistence._params.cache_clear()
    files = [file for file in job["input"] if not file.startswith("results/")]
    return list(map(fingerprint, files))


def gone(wildcards, **job):
    """Return, while jobs are planned, the outputs that are gone, as a param of jobs that keep them.

    Snakemake looks only for files that other jobs wait for.
    """
    planned = workflow.scheduler is None
    return [file for file in job["output"] if planned and not os.path.exists(file)]


for each in workflow.rules:
    each.set_params(inputs=of_inputs)
    if not any(is_flagged(file, "temp") for file in each.output):
        each.set_params(gone=gone)
