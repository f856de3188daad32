"""Files that are not here yet: fetched from an address, or decoded from their compressed form.

Input: addresses in the configuration; what models/*/source.yaml says about a missing file.
Output: results/downloads/* for addresses; files in models/*, beside the source.yaml that says
where they come from.

Only what is missing has a rule, so that a file in place is never fetched again, removed or even
looked at. Snakemake's storage plugin for http is not used: it asks the server about every file in
every run, keeps no copy, and neither verifies, resumes nor tries another address.
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
        "Fetch {wildcards.missing}."
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
        "Decode {wildcards.weights} from its Deep-Compression form."
    script:
        "../scripts/decode_weights.py"
