"""Collections of images of one class that are made here: held-out crops of photonet's photographs.

Input: models/photonet/photographs.py; the photographs ship with scikit-image and scikit-learn.
Output: results/collections/{collection}/, PNG files.
"""


rule crops:
    input:
        photographs=Path(workflow.basedir) / "models/photonet/photographs.py",
        labels=Path(workflow.basedir) / "models/photonet/labels.txt",
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
        "Cut held-out crops for the collection {wildcards.collection}."
    script:
        "../scripts/make_crops.py"
