"""Image collections that the workflow makes: held-out crops of photonet's photographs.

Input: models/photonet/labels.txt; the photographs ship with scikit-image and scikit-learn.
Output: results/collections/{collection}/, PNG files.
"""


rule crops:
    input:
        Path(workflow.basedir) / "models/photonet/labels.txt",
    output:
        directory("results/collections/{collection}"),
    log:
        "logs/collections/{collection}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        label=lookup(dpath="{collection}/label", within=tables["collections"]),
        crops=lookup(dpath="{collection}/limit", within=tables["collections"]),
        code=code("make_crops.py"),
    message:
        "Cut held-out crops of photonet's photographs for the collection {wildcards.collection}."
    script:
        "../scripts/make_crops.py"
