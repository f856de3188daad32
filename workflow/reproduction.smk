"""How close a run came to what the study published, on request (`snakemake verify`).

Input: the published files (config: verify); volumes, orders, pictures and gradients of the run.
Output: results/verify.json, results/verify/ (pictures) and results/verify.html; results/{network}/{image}/gradients/fit.json,
the neuron whose gradient was published; gradients/{cls}.study.json and .png, the study's numerical
scheme repeated. The target fails when something differs that should agree.
"""


rule neuron_fit:
    """Find the neuron whose gradient was published; the study did not record it.

    What comes out is, for each layer, the neurons that fit best and how well each fits.
    """
    input:
        unpack(entry("verify", "fitted", "{image}")),
        array="results/{network}/{image}/input.npy",
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
    output:
        "results/{network}/{image}/gradients/fit.json",
    log:
        "logs/{network}/{image}/gradients/fit.log",
    benchmark:
        "logs/{network}/{image}/gradients/fit.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
        runtime=720,
    params:
        model=entry("networks", "{network}", "model"),
        published=entry("verify", "fitted", "{image}"),
        neuron=tables["verify"]["neuron"],
        code=code("verify_neurons.py"),
    message:
        "Find the neuron of {wildcards.network} whose gradient on {wildcards.image} was published."
    script:
        "../scripts/verify_neurons.py"


use rule gradient_check as study_check with:
    output:
        report="results/{network}/{image}/gradients/{cls}.study.json",
        picture="results/{network}/{image}/gradients/{cls}.study.png",
    log:
        "logs/{network}/{image}/gradients/{cls}.study.log",
    benchmark:
        "logs/{network}/{image}/gradients/{cls}.study.tsv"
    params:
        check={"mode": "study"},
    message:
        "Repeat the study's numerical gradient check on {wildcards.image}."


rule verification:
    """Compare everything published with what the run has of it, and show it on one page."""
    input:
        tables["verify"]["inputs"],
        recovered=tables["verify"]["recovered"],
    output:
        report="results/verify.json",
        pictures=directory("results/verify"),
        page="results/verify.html",
    log:
        "logs/verify.log",
    conda:
        "../envs/workflow.yaml"
    params:
        run=tables["verify"]["run"],
        code=code("verify_run.py"),
    message:
        "Compare this run with what the study published: results/verify.html."
    script:
        "../scripts/verify_run.py"


rule verify:
    """Fail unless everything that could be compared agrees."""
    input:
        report="results/verify.json",
        page="results/verify.html",
        # The page links to it, and so do those in 3D.
        overview="results/index.html",
    log:
        "logs/verify-outcome.log",
    conda:
        "../envs/workflow.yaml"
    message:
        "Fail unless everything that could be compared agrees: see results/verify.html."
    script:
        "../scripts/verify_outcome.py"
