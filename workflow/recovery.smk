"""Filters of a first layer, recovered from its published outputs and the image they were made of.

Input: a volume (.npy, or .vox with .hd) and its image, as config: recover names them.
Output: results/recovered/{recovery}/deploy.prototxt and weights.caffemodel, a network of that
layer; filters.png, the filters; report.json, how well each filter is determined;
results/recovery.html, all of it on one page.
"""


rule recovered_filters:
    """Solve for the filters that turn the image into the published outputs."""
    input:
        volume=entry("recover", "{recovery}", "volume"),
        header=entry("recover", "{recovery}", "header"),
        image=entry("recover", "{recovery}", "file"),
        mean=entry("recover", "{recovery}", "mean_file"),
    output:
        prototxt="results/recovered/{recovery}/deploy.prototxt",
        weights="results/recovered/{recovery}/weights.caffemodel",
        picture="results/recovered/{recovery}/filters.png",
        report="results/recovered/{recovery}/report.json",
    log:
        "logs/recovered/{recovery}.log",
    benchmark:
        "logs/recovered/{recovery}.tsv"
    wildcard_constraints:
        recovery=any_of(tables["recover"]),
    conda:
        "../envs/workflow.yaml"
    params:
        image=entry("recover", "{recovery}", "image"),
        crop=entry("recover", "{recovery}", "crop"),
        preprocessing=entry("recover", "{recovery}", "preprocessing"),
        geometry=entry("recover", "{recovery}", "geometry"),
        layer=entry("recover", "{recovery}", "layer"),
        code=code("recover_filters.py"),
    message:
        "Recover the filters that made {input.volume}."
    script:
        "../scripts/recover_filters.py"


rule recovery_page:
    """Make the page on all recovered filters: how many are determined, and how well."""
    input:
        reports=collect("results/recovered/{recovery}/report.json", recovery=tables["recover"]),
        linked=collect(
            "results/recovered/{recovery}/{file}",
            recovery=tables["recover"],
            file=["deploy.prototxt", "weights.caffemodel", "filters.png"],
        ),
    output:
        "results/recovery.html",
    log:
        "logs/recovery.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_recovery_page.py"),
    message:
        "Make the page on recovered filters: results/recovery.html."
    script:
        "../scripts/make_recovery_page.py"


rule recover:
    input:
        "results/recovery.html",
        "results/index.html",
    message:
        "The filters are recovered: see results/recovery.html and results/recovered/."
