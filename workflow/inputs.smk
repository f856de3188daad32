"""Files that are made before anything else: downloads, decoded weights, and crops of photographs.

Input: addresses in the configuration; the entry of a missing file in models/*/source.yaml;
photographs that ship with scikit-image and scikit-learn.
Output: results/downloads/* for addresses; files in models/*, beside the source.yaml that describes
them; results/collections/{collection}/, PNG files.

Only missing files have a rule, so that a file that is there is never downloaded again or removed.
Snakemake's storage plugin for http is not used: it sends a request for every file in every run,
keeps no copy, and has no checksums and no mirrors.
"""


# Nodes of a cluster may have no internet, so that these run where Snakemake was started.
localrules:
    download,
    crops,


rule download:
    """Download a missing file and check it against its sha256."""
    output:
        "{missing}",
    log:
        "logs/downloads/{missing}.log",
    wildcard_constraints:
        missing=any_of(tables["downloads"]),
    conda:
        "../envs/workflow.yaml"
    params:
        source=entry("downloads", "{missing}"),
    message:
        "Download {wildcards.missing}."
    script:
        "../scripts/fetch_file.py"


rule decoded_weights:
    """Decode missing weights from their Deep Compression form."""
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


rule crops:
    """Cut crops of a photograph from the part that photonet was not trained on."""
    input:
        home / "models/photonet/labels.txt",
    output:
        directory("results/collections/{collection}"),
    log:
        "logs/collections/{collection}.log",
    priority: 1
    conda:
        "../envs/workflow.yaml"
    params:
        label=entry("collections", "{collection}", "label"),
        crops=entry("collections", "{collection}", "crops"),
        code=code("make_crops.py"),
    message:
        "Cut held-out crops of photonet's photographs for the collection {wildcards.collection}."
    script:
        "../scripts/make_crops.py"
