"""Missing files: downloaded, or decoded from their compressed form.

Input: addresses in the configuration; the entry of a missing file in models/*/source.yaml.
Output: results/downloads/* for addresses; files in models/*, beside the source.yaml that describes
them.

Only missing files have a rule, so that a file that is there is never downloaded again or removed.
Snakemake's storage plugin for http is not used: it sends a request for every file in every run,
keeps no copy, and has no checksums and no mirrors.
"""


rule download:
    output:
        "{missing}",
    log:
        "logs/downloads/{missing}.log",
    wildcard_constraints:
        missing=any_of(tables["downloads"]),
    conda:
        "../envs/workflow.yaml"
    params:
        source=source_of,
    message:
        "Download {wildcards.missing}."
    script:
        "../scripts/fetch_file.py"


rule decoded_weights:
    input:
        unpack(compressed_of),
    output:
        "{weights}",
    log:
        "logs/decoded/{weights}.log",
    wildcard_constraints:
        weights=any_of(tables["decoded"]),
    conda:
        "../envs/workflow.yaml"
    message:
        "Decode {wildcards.weights} from its Deep Compression form."
    script:
        "../scripts/decode_weights.py"
