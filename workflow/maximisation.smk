"""Activation maximisation: pictures that drive filters and neurons most.

Input: the network's prototxt and weights, and the labels of its neurons.
Output: for each layer of chosen filters, and for the score (chosen neurons),
results/{network}/maximisation/{layer}.json, the scores; {layer}.npz, the pictures;
{layer}/{preset}.png, all pictures of a preset.
"""

# Which layers are looked at is up to the configuration, so each has its own rule.
for network, targets in tables["maximisation"]["networks"].items():
    for layer, wanted in targets.items():

        rule:
            """Search pictures that drive filters or neurons most, by gradient ascent from noise.

            What comes out is, for every preset and seed, a picture of what the filter sees of the
            input, and the score of this picture as any image file of it would have.
            """
            name:
                f"maximisation_{layer}@{network}"
            input:
                prototxt=tables["networks"][network]["prototxt"],
                weights=tables["networks"][network]["weights"],
                mean=tables["networks"][network]["mean_file"],
                labels=[] if wanted["layer"] else tables["networks"][network]["labels"],
            output:
                collect(
                    "results/{network}/maximisation/{layer}.{suffix}",
                    network=network,
                    layer=layer,
                    suffix=["json", "npz"],
                ),
                reported(
                    collect(
                        "results/{network}/maximisation/{layer}/{preset}.png",
                        network=network,
                        layer=layer,
                        preset=tables["maximisation"]["presets"],
                    ),
                    "Filters",
                ),
            log:
                f"logs/{network}/maximisation/{layer}.log",
            benchmark:
                f"logs/{network}/maximisation/{layer}.tsv"
            conda:
                environment
            threads: tables["networks"][network]["threads"]
            resources:
                mem_mb=tables["networks"][network]["memory"],
                runtime=720,
            params:
                model=tables["networks"][network]["model"],
                preprocessing=tables["networks"][network]["preprocessing"],
                place={"network": network, "layer": layer},
                wanted=wanted,
                presets=tables["maximisation"]["presets"],
                seeds=tables["maximisation"]["seeds"],
                code=code("make_maxima.py"),
            message:
                f"Search what drives {layer} of {network} most."
            script:
                "../scripts/make_maxima.py"
