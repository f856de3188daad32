"""The study's slice analysis: one row of every filter's output, clustered and ordered.

Input: results/{network}/{image}/blobs.npz.
Output: results/{network}/{image}/slices/{layer}/row-{row}/kmeans-{k}.png, pca.png, slice.json.
"""


rule slice:
    input:
        "results/{network}/{image}/blobs.npz",
    output:
        kmeans=collect(
            "results/{{network}}/{{image}}/slices/{{layer}}/row-{{row}}/kmeans-{k}.png",
            k=tables["slices"]["k"],
        ),
        pca="results/{network}/{image}/slices/{layer}/row-{row}/pca.png",
        table="results/{network}/{image}/slices/{layer}/row-{row}/slice.json",
    log:
        "logs/{network}/{image}/slices/{layer}/row-{row}.log",
    benchmark:
        "logs/{network}/{image}/slices/{layer}/row-{row}.tsv"
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        blob=lookup(dpath="{network}/{layer}/blob", within=tables["layers"]),
        clusters=tables["slices"]["k"],
        seed=tables["slices"]["seed"],
        code=code("make_slice.py"),
    message:
        "Cluster and order row {wildcards.row} of {wildcards.layer} on {wildcards.image}."
    script:
        "../scripts/make_slice.py"
