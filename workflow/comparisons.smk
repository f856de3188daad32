"""One neuron's gradients over a reference class, a similar class and a dissimilar class.

Input: of each image results/{network}/{image}/gradients/{neuron}.npz, input.png and, where the
network has weights, prediction.json.
Output: results/{network}/comparisons/{comparison}/index.html; for each layer {layer}.png, .csv and
.json, the comparison; {layer}.html, the time series in 3D; {layer}.nii.gz, for 3D Slicer and
ITK-SNAP; {layer}.pvd and {layer}/frame-*.vti, for ParaView; the same as {layer}.channels.*, channel
by channel; {layer}.webp, an animation, and {layer}.still.png, its first frame.
"""

# Which layers a comparison has is up to the configuration, so every comparison has its own rule.
for network, comparisons in tables["comparisons"].items():
    for comparison, facts in comparisons.items():
        members = [member["image"] for member in facts["members"]]
        layers = [tables["layers"][network][layer] for layer in facts["layers"]]
        shared = [
            (name, layer)
            for layer, each in zip(facts["layers"], layers, strict=True)
            for name in each["shared"]
        ]

        rule:
            """Compare a neuron's gradients over images: how large, how similar, at which filters.

            What goes in is one gradient per image; what comes out is, for each layer, a picture and
            numbers of all images on one scale, the same as a time series for other programs, and
            one page that shows it all.
            """
            name:
                f"comparison_{comparison}@{network}"
            input:
                collect(
                    "results/{network}/{member}/{file}",
                    network=network,
                    member=members,
                    file=[f"gradients/{facts['neuron']}.npz", "input.png"],
                ),
                predictions=collect(
                    "results/{network}/{member}/prediction.json",
                    network=network,
                    member=members if network in running else [],
                ),
                labels=tables["networks"][network]["labels"],
                orders=shared_orders(network, shared),
            output:
                collect(
                    "results/{network}/comparisons/{comparison}/{layer}.{suffix}",
                    network=network,
                    comparison=comparison,
                    layer=facts["layers"],
                    suffix=[
                        *("csv", "json", "webp", "still.png", "nii.gz", "pvd"),
                        *("channels.html", "channels.nii.gz", "channels.pvd"),
                    ],
                ),
                reported(
                    collect(
                        "results/{network}/comparisons/{comparison}/{layer}.{suffix}",
                        network=network,
                        comparison=comparison,
                        layer=facts["layers"],
                        suffix=["png", "html"],
                    ),
                    "Comparisons",
                ),
                collect(
                    "results/{network}/comparisons/{comparison}/{layer}/frame-{frame:03}.{suffix}",
                    network=network,
                    comparison=comparison,
                    layer=facts["layers"],
                    frame=range(len(members)),
                    suffix=["vti", "channels.vti"],
                ),
                f"results/{network}/comparisons/{comparison}/index.html",
            log:
                f"logs/{network}/comparisons/{comparison}.log",
            benchmark:
                f"logs/{network}/comparisons/{comparison}.tsv"
            conda:
                "../envs/workflow.yaml"
            params:
                network=network,
                name=comparison,
                neuron=facts["neuron"],
                members=facts["members"],
                predicted=network in running,
                classes=tables["networks"][network]["classes"],
                layers={each["name"]: each["shared"] for each in layers},
                ordering=facts["ordering"],
                responses=with_responses(network),
                code=code("make_comparison.py"),
            message:
                f"Compare the gradients of {network} over the images of {comparison}."
            script:
                "../scripts/make_comparison.py"
