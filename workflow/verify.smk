"""How close a run came to what the study published, on request (`snakemake verify`).

Input: the published files (config: verify); volumes, orders, pictures and gradients of the run.
Output: results/verify.json and results/verify.html; results/{network}/{image}/gradients/fit.json,
whose neuron's gradient a published one is; gradients/{cls}.study.json and .png, the study's
numerical scheme repeated. The target fails when something differs that should agree.
"""

verified = tables["verify"]


rule neuron_fit:
    input:
        array="results/{network}/{image}/input.npy",
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
        published=lookup(dpath="{image}/files", within=verified["fitted"]),
    output:
        "results/{network}/{image}/gradients/fit.json",
    log:
        "logs/{network}/{image}/gradients/fit.log",
    benchmark:
        "logs/{network}/{image}/gradients/fit.tsv"
    conda:
        "../envs/workflow.yaml"
    params:
        layers=lookup(dpath="{image}/layers", within=verified["fitted"]),
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        neuron=verified["neuron"],
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        input_shape=lookup(dpath="{network}/input_shape", within=tables["networks"]),
        code=code("verify_neurons.py"),
    message:
        "Look for the neuron of {wildcards.network} whose gradient on {wildcards.image} was published."
    script:
        "../scripts/verify_neurons.py"


rule study_check:
    input:
        array="results/{network}/{image}/input.npy",
        gradients="results/{network}/{image}/gradients/{cls}.npz",
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
    output:
        report="results/{network}/{image}/gradients/{cls}.study.json",
        picture="results/{network}/{image}/gradients/{cls}.study.png",
    log:
        "logs/{network}/{image}/gradients/{cls}.study.log",
    conda:
        "../envs/workflow.yaml"
    params:
        check={"mode": "study"},
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        input_shape=lookup(dpath="{network}/input_shape", within=tables["networks"]),
        layers=lookup(dpath="{network}", within=tables["differentiated"]),
        code=code("check_gradients.py"),
    message:
        "Repeat the study's numerical gradient on {wildcards.image}, to show what it is worth."
    script:
        "../scripts/check_gradients.py"


rule verification:
    input:
        published=verified["published"],
        blobs=collect(
            "results/{network}/{image}/blobs.npz",
            network=verified["network"],
            image=verified["image"],
        ),
        volumes=collect(
            "results/{network}/{image}/volumes/{ordering}/{layer}.vox",
            network=verified["network"],
            image=verified["image"],
            ordering=verified["natural"],
            layer=verified["layers"],
        ),
        natural=collect(
            "results/{network}/{image}/orderings/{ordering}/conv1.json",
            network=verified["network"],
            image=verified["image"],
            ordering=verified["natural"],
        ),
        grids=collect(
            "results/{network}/{image}/grids/{ordering}/conv1.png",
            network=verified["network"],
            image=verified["image"],
            ordering=verified["natural"],
        ),
        orderings=collect(
            "results/{network}/{image}/orderings/{ordering}/conv1.json",
            network=verified["network"],
            image=verified["image"],
            ordering=list(verified["orderings"].values()),
        ),
        slices=collect(
            "results/{network}/{image}/slices/conv1/row-{row}/slice.json",
            network=verified["network"],
            image=verified["image"],
            row=verified["rows"],
        ),
        gradients=collect(
            "results/{network}/{image}/gradients/{neuron}.npz",
            network=verified["network"],
            image=verified["images"],
            neuron=verified["neuron"],
        ),
        fits=collect(
            "results/{network}/{image}/gradients/fit.json",
            network=verified["network"],
            image=verified["images"],
        ),
        checks=collect(
            "results/{network}/{image}/gradients/{neuron}.study.json",
            network=verified["network"],
            image=verified["checked"],
            neuron=verified["neuron"],
        ),
    output:
        "results/verify.json",
    log:
        "logs/verify.log",
    conda:
        "../envs/workflow.yaml"
    params:
        verified=verified,
        code=code("verify_run.py"),
    message:
        "Compare this run with what the study published."
    script:
        "../scripts/verify_run.py"


rule verification_page:
    input:
        report="results/verify.json",
        recovered=collect(
            "results/recovered/{recovery}/report.json",
            recovery=[
                name
                for name in tables["recover"]
                for network in verified["network"]
                if f"results/recovered/{name}/weights.caffemodel"
                == tables["networks"][network]["weights"]
            ],
        ),
    output:
        "results/verify.html",
    log:
        "logs/verify-page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_verification_page.py"),
    message:
        "Make the page on how close this run came to the study: results/verify.html."
    script:
        "../scripts/make_verification_page.py"


rule verify:
    input:
        report="results/verify.json",
        page="results/verify.html",
    log:
        "logs/verify-outcome.log",
    conda:
        "../envs/workflow.yaml"
    message:
        "Fail unless all that could be compared agrees: see results/verify.html."
    script:
        "../scripts/verify_outcome.py"
