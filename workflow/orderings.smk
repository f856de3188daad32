"""Orders of a layer's filters in which neighbours look alike.

Input: results/{network}/{image}/blobs.npz.
Output: results/{network}/{image}/orderings/{ordering}/{layer}.json, the permutation, the method
and its numbers.
"""


rule ordering:
    input:
        "results/{network}/{image}/blobs.npz",
    output:
        "results/{network}/{image}/orderings/{ordering}/{layer}.json",
    log:
        "logs/{network}/{image}/orderings/{ordering}/{layer}.log",
    benchmark:
        "logs/{network}/{image}/orderings/{ordering}/{layer}.tsv"
    conda:
        "../envs/workflow.yaml"
    params:
        blob=lookup(dpath="{network}/{layer}/blob", within=tables["layers"]),
        ordering=lookup(dpath="{ordering}", within=tables["orderings"]),
        code=code("make_ordering.py"),
    message:
        "Order the filters of {wildcards.layer} on {wildcards.image}: {wildcards.ordering}."
    script:
        "../scripts/make_ordering.py"
