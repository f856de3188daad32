"""Figures for papers, on request (`snakemake figures`): volumes from aside, on paper.

Input: results/{network}/{image}/blobs.npz and orderings; gradients/{cls}.npz.
Output: as .png, .svg (lines and text as vectors) and .webp (turning), without a browser:
results/{network}/{image}/figures/{layer}.*, all orders side by side, and gradient-{cls}-{layer}.*;
results/{network}/comparisons/{comparison}/figures/{layer}.*, all images side by side.
"""

from cnnvis.config.page_files import figure_files

formats = ["png", "svg", "webp"]

for network in running:
    layers = [layer for layer, facts in tables["layers"][network].items() if facts["volumes"]]
    facts = tables["layers"][network]
    orders = [(name, layer) for layer in layers for name in facts[layer]["orderings"]]
    shared = [(name, layer) for layer in layers for name in facts[layer]["shared"]]

    rule:
        """Draw the feature maps of each layer as volumes, one for each order."""
        name:
            f"volume_figures@{network}"
        input:
            f"results/{network}/{{image}}/blobs.npz",
            shared_orders(network, shared),
            collect(
                "results/{network}/{{image}}/orderings/{order[0]}/{order[1]}.json",
                network=network,
                order=[order for order in orders if order not in shared],
            ),
        output:
            collect(
                "results/{network}/{{image}}/figures/{layer}.{format}",
                network=network,
                layer=layers,
                format=formats,
            ),
        log:
            f"logs/{network}/{{image}}/figures.log",
        group:
            pictures
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            layers=facts_of(network, layers, "name", "blob", "orderings", "shared"),
            code=code("make_volume_figures.py"),
        message:
            f"Draw figures of the volumes of {network} on {{wildcards.image}}."
        script:
            "../scripts/make_volume_figures.py"


for network, names in tables["differentiated"].items():
    layers = [layer for layer, facts in tables["layers"][network].items() if facts["name"] in names]

    rule:
        """Draw a neuron's gradient at each layer as a volume, its channels summed."""
        name:
            f"gradient_figures@{network}"
        input:
            f"results/{network}/{{image}}/gradients/{{cls}}.npz",
        output:
            collect(
                "results/{network}/{{image}}/figures/gradient-{{cls}}-{layer}.{format}",
                network=network,
                layer=layers,
                format=formats,
            ),
        log:
            f"logs/{network}/{{image}}/figures-{{cls}}.log",
        group:
            pictures
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            layers=names,
            code=code("make_gradient_figures.py"),
        message:
            f"Draw figures of the gradients of neuron {{wildcards.cls}} of {network} on {{wildcards.image}}."
        script:
            "../scripts/make_gradient_figures.py"


for network, comparisons in tables["comparisons"].items():
    for comparison, facts in comparisons.items():

        rule:
            """Draw the gradients of all images of a comparison as volumes on one scale."""
            name:
                f"comparison_figures_{comparison}@{network}"
            input:
                collect(
                    "results/{network}/{member}/gradients/{neuron}.npz",
                    network=network,
                    member=[member["image"] for member in facts["members"]],
                    neuron=facts["neuron"],
                ),
            output:
                collect(
                    "results/{network}/comparisons/{comparison}/figures/{layer}.{format}",
                    network=network,
                    comparison=comparison,
                    layer=facts["layers"],
                    format=formats,
                ),
            log:
                f"logs/{network}/comparisons/{comparison}.figures.log",
            conda:
                "../envs/workflow.yaml"
            params:
                place={"network": network, "comparison": comparison},
                neuron=facts["neuron"],
                members=facts["members"],
                layers=[tables["layers"][network][layer]["name"] for layer in facts["layers"]],
                code=code("make_comparison_figures.py"),
            message:
                f"Draw figures of the comparison {comparison} of {network}."
            script:
                "../scripts/make_comparison_figures.py"


rule figures:
    """Make all figures for papers."""
    input:
        figure_files(tables),
    message:
        "The figures are made: results/*/*/figures/ and results/*/comparisons/*/figures/."
