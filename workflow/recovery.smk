"""Filters of a first layer, recovered from its published outputs and the image they were made of.

Input: a volume (.npy, or .vox with .hd) and its image, as config: recover names them.
Output: results/recovered/{recovery}/deploy.prototxt and weights.caffemodel, a network of that
layer; filters.png, the filters; report.json, how well each of them is known; results/recovery.html, all of it to look at.
"""


rule recovered_filters:
    input:
        volume=lookup(dpath="{recovery}/volume", within=tables["recover"]),
        header=lookup(dpath="{recovery}/header", within=tables["recover"]),
        image=lookup(dpath="{recovery}/file", within=tables["recover"]),
        mean=lookup(dpath="{recovery}/mean_file", within=tables["recover"]),
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
        image=lookup(dpath="{recovery}/image", within=tables["recover"]),
        options=lookup(dpath="{recovery}/options", within=tables["recover"]),
        code=code("recover_filters.py"),
    message:
        "Recover the filters behind {input.volume}."
    script:
        "../scripts/recover_filters.py"


rule recovery_page:
    input:
        reports=collect(
            "results/recovered/{recovery}/report.json",
            recovery=tables["recover"],
        ),
        pictures=collect(
            "results/recovered/{recovery}/filters.png",
            recovery=tables["recover"],
        ),
        networks=collect(
            "results/recovered/{recovery}/{file}",
            recovery=tables["recover"],
            file=["deploy.prototxt", "weights.caffemodel"],
        ),
    output:
        "results/recovery.html",
    log:
        "logs/recovery.log",
    conda:
        "../envs/workflow.yaml"
    params:
        recoveries=list(tables["recover"]),
        code=code("make_recovery_page.py"),
    message:
        "Make the page on recovered filters: results/recovery.html."
    script:
        "../scripts/make_recovery_page.py"


rule recover:
    input:
        "results/recovery.html",
        collect(
            "results/recovered/{recovery}/{name}",
            recovery=tables["recover"],
            name=["deploy.prototxt", "weights.caffemodel", "filters.png", "report.json"],
        ),
    message:
        "The filters are recovered: look at results/recovered/*/filters.png."
