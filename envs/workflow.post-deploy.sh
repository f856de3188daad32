#!/usr/bin/env bash
# Let this environment's Python find the package beside the Snakefile. Snakemake hides PYTHONPATH
# from environments of its own, so common.smk exports the folder under another name as well.
set -euo pipefail
folder=$("$CONDA_PREFIX/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$CNNVIS_HOME" >"$folder/cnnvis.pth"
