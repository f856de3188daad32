"""BVLC Caffe beside the embedded engine, on request (`snakemake parity`): needs pycaffe.

Input: results/{network}/{image}/input.npy of every image; the network's prototxt and weights.
Output: results/{network}/parity.json; results/parity.json and results/parity.html of all networks.
"""


rule network_parity:
    """Run both engines on every image of a network; compare all blobs, scores and gradients."""
    input:
        arrays=collect(
            "results/{{network}}/{image}/input.npy",
            image=entry("shown", "{network}"),
        ),
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
    output:
        "results/{network}/parity.json",
    log:
        "logs/{network}/parity.log",
    benchmark:
        "logs/{network}/parity.tsv"
    conda:
        "../envs/caffe.yaml"
    threads: 4
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
        runtime=720,
    params:
        model=entry("networks", "{network}", "model"),
        images=entry("shown", "{network}"),
        classes={name: image["classes"] for name, image in tables["images"].items()},
        layers=entry("differentiated", "{network}"),
        python=config.get("pycaffe", {}).get("python"),
        code=code("compare_engines.py"),
    message:
        "Compare the embedded engine with Caffe on {wildcards.network}."
    script:
        "../scripts/compare_engines.py"


rule parity:
    """Make the page on how faithful the embedded engine is to Caffe."""
    input:
        collect("results/{network}/parity.json", network=running),
    output:
        page="results/parity.html",
        report="results/parity.json",
    log:
        "logs/parity.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_parity_page.py"),
    message:
        "Make the page on how faithful the embedded engine is: results/parity.html."
    script:
        "../scripts/make_parity_page.py"
