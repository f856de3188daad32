"""Real Caffe beside the embedded engine, on request (`snakemake parity`): needs pycaffe.

Input: results/{network}/{image}/input.npy of every image; the network's prototxt and weights.
Output: results/{network}/parity.json; results/parity.json and results/parity.html of all networks.
"""


rule network_parity:
    input:
        arrays=collect(
            "results/{{network}}/{image}/input.npy",
            image=lookup(dpath="{network}", within=tables["shown"]),
        ),
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
    output:
        "results/{network}/parity.json",
    log:
        "logs/{network}/parity.log",
    benchmark:
        "logs/{network}/parity.tsv"
    conda:
        "../envs/caffe.yaml"
    threads: 4
    params:
        images=lookup(dpath="{network}", within=tables["shown"]),
        engine_options=tables["pycaffe"],
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        layers=lookup(dpath="{network}", within=tables["differentiated"]),
        input_shape=lookup(dpath="{network}/input_shape", within=tables["networks"]),
        code=code("compare_engines.py"),
    message:
        "Compare the embedded engine with Caffe on {wildcards.network}."
    script:
        "../scripts/compare_engines.py"


rule parity:
    input:
        collect("results/{network}/parity.json", network=tables["networks"]),
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
