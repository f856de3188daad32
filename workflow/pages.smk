"""Pages for people: everything above to look at, offline, by double click.

Input: all pictures, volumes and tables of an image; all pages of a run.
Output: results/{network}/{image}/viewer/{layer}.html and viewer/gradient-{cls}-{layer}.html, in
3D; results/{network}/{image}/index.html and input.png, what the network saw;
results/{network}/comparisons/{comparison}/index.html; results/{network}/classes/index.html;
results/index.html.
"""


rule volume_viewer:
    input:
        blobs="results/{network}/{image}/blobs.npz",
        orderings=collect(
            "results/{{network}}/{{image}}/orderings/{ordering}/{{layer}}.json",
            ordering=study["orderings"],
        ),
        volumes=collect(
            "results/{{network}}/{{image}}/volumes/{ordering}/{{layer}}.{suffix}",
            ordering=study["orderings"],
            suffix=["nhdr", "mhd", "hd", "vox"],
        ),
    output:
        "results/{network}/{image}/viewer/{layer}.html",
    log:
        "logs/{network}/{image}/viewer/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        orderings=list(study["orderings"]),
        layer=lookup(dpath="{network}/{layer}/name", within=study["layers"]),
        blob=lookup(dpath="{network}/{layer}/blob", within=study["layers"]),
        code=code("make_volume_viewer.py"),
    message:
        "Make the 3D page of {wildcards.layer} on {wildcards.image}."
    script:
        "../scripts/make_volume_viewer.py"


rule gradient_viewer:
    input:
        gradients="results/{network}/{image}/gradients/{cls}.npz",
        volumes=multiext(
            "results/{network}/{image}/gradients/{cls}/{layer}", ".nhdr", ".mhd", ".hd", ".vox"
        ),
    output:
        "results/{network}/{image}/viewer/gradient-{cls}-{layer}.html",
    log:
        "logs/{network}/{image}/viewer/gradient-{cls}-{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=study["layers"]),
        code=code("make_gradient_viewer.py"),
    message:
        "Make the 3D page of neuron {wildcards.cls} by {wildcards.layer} on {wildcards.image}."
    script:
        "../scripts/make_gradient_viewer.py"


rule image_page:
    input:
        prototxt=lookup(dpath="{network}/prototxt", within=study["networks"]),
        labels=lookup(dpath="{network}/labels", within=study["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=study["networks"]),
        array="results/{network}/{image}/input.npy",
        prediction="results/{network}/{image}/prediction.json",
        filters=collect(
            "results/{{network}}/filters/{layer}.png",
            layer=lookup(dpath="{network}/{image}/convolutions", within=study["shown"]),
        ),
        orderings=collect(
            "results/{{network}}/{{image}}/orderings/{ordering}/{layer}.json",
            ordering=study["orderings"],
            layer=lookup(dpath="{network}/{image}/convolutions", within=study["shown"]),
        ),
        grids=collect(
            "results/{{network}}/{{image}}/grids/{ordering}/{layer}.png",
            ordering=study["orderings"],
            layer=lookup(dpath="{network}/{image}/convolutions", within=study["shown"]),
        ),
        volumes=collect(
            "results/{{network}}/{{image}}/volumes/{ordering}/{layer}.{suffix}",
            ordering=study["orderings"],
            layer=lookup(dpath="{network}/{image}/volumes", within=study["shown"]),
            suffix=["vox", "hd", "nhdr", "mhd"],
        ),
        binary_volumes=collect(
            "results/{{network}}/{{image}}/volumes/{ordering}/{layer}.binary.{suffix}",
            ordering=study["orderings"],
            layer=lookup(dpath="{network}/{image}/volumes", within=study["shown"]),
            suffix=["vox", "hd", "nhdr", "mhd"],
        ),
        slices=collect(
            "results/{{network}}/{{image}}/slices/{place[0]}/row-{place[1]}/{name}",
            place=lookup(dpath="{network}/{image}/slices", within=study["shown"]),
            name=[*collect("kmeans-{k}.png", k=study["slices"]["k"]), "pca.png", "slice.json"],
        ),
        gradients=collect(
            "results/{{network}}/{{image}}/gradients/{cls}/{layer}.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=study["shown"]),
            layer=lookup(dpath="{network}/{image}/gradients", within=study["shown"]),
            suffix=["png", "vox", "hd", "nhdr", "mhd"],
        ),
        checks=collect(
            "results/{{network}}/{{image}}/gradients/{cls}.check.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=study["shown"]),
            suffix=[] if study["check"]["mode"] == "none" else ["json", "png"],
        ),
        saliency=collect(
            "results/{{network}}/{{image}}/attributions/{cls}/{name}",
            cls=lookup(dpath="{network}/{image}/classes", within=study["shown"]),
            name=["saliency.png", "saliency.npy", "data_gradient.npy"],
        ),
        attributions=collect(
            "results/{{network}}/{{image}}/attributions/{cls}/{kind}/{layer}.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=study["shown"]),
            kind=study["attributions"],
            layer=lookup(dpath="{network}/{image}/gradients", within=study["shown"]),
            suffix=["png", "vox", "hd", "nhdr", "mhd"],
        ),
        importance=collect(
            "results/{{network}}/{{image}}/importance/{cls}/{layer}.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=study["shown"]),
            layer=lookup(dpath="{network}/{image}/gradients", within=study["shown"]),
            suffix=["csv", "png"],
        ),
        volume_viewers=collect(
            "results/{{network}}/{{image}}/viewer/{layer}.html",
            layer=lookup(dpath="{network}/{image}/volumes", within=study["shown"]),
        ),
        gradient_viewers=collect(
            "results/{{network}}/{{image}}/viewer/gradient-{cls}-{layer}.html",
            cls=lookup(dpath="{network}/{image}/classes", within=study["shown"]),
            layer=lookup(dpath="{network}/{image}/gradients", within=study["shown"]),
        ),
    output:
        page="results/{network}/{image}/index.html",
        picture="results/{network}/{image}/input.png",
    log:
        "logs/{network}/{image}/page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        mean=lookup(dpath="{network}/mean", within=study["networks"]),
        input_scale=lookup(dpath="{network}/input_scale", within=study["networks"]),
        channel_order=lookup(dpath="{network}/channel_order", within=study["networks"]),
        input_shape=lookup(dpath="{network}/input_shape", within=study["networks"]),
        code=code("make_image_page.py"),
    message:
        "Make the page of {wildcards.image} in {wildcards.network}."
    script:
        "../scripts/make_image_page.py"


rule comparison_page:
    input:
        labels=lookup(dpath="{network}/labels", within=study["networks"]),
        gradients=collect(
            "results/{{network}}/{member[image]}/gradients/{neuron}.npz",
            member=lookup(dpath="{network}/{comparison}/members", within=study["comparisons"]),
            neuron=lookup(dpath="{network}/{comparison}/neuron", within=study["comparisons"]),
        ),
        predictions=collect(
            "results/{{network}}/{member[image]}/prediction.json",
            member=lookup(dpath="{network}/{comparison}/members", within=study["comparisons"]),
        ),
        members=collect(
            "results/{{network}}/{member[image]}/{name}",
            member=lookup(dpath="{network}/{comparison}/members", within=study["comparisons"]),
            name=["input.png", "index.html"],
        ),
        layers=collect(
            "results/{{network}}/comparisons/{{comparison}}/{layer}.{suffix}",
            layer=lookup(dpath="{network}/{comparison}/layers", within=study["comparisons"]),
            suffix=[
                *("png", "csv", "json", "html"),
                *("nii.gz", "pvd", "webp", "gif", "still.png"),
            ],
        ),
    output:
        "results/{network}/comparisons/{comparison}/index.html",
    log:
        "logs/{network}/comparisons/{comparison}/page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        members=lookup(dpath="{network}/{comparison}/members", within=study["comparisons"]),
        neuron=lookup(dpath="{network}/{comparison}/neuron", within=study["comparisons"]),
        code=code("make_comparison_page.py"),
    message:
        "Make the page of the comparison {wildcards.comparison}."
    script:
        "../scripts/make_comparison_page.py"


rule classes_page:
    input:
        importance=collect(
            "results/{{network}}/classes/{place[0]}/importance/{place[1]}.{suffix}",
            place=lookup(dpath="{network}/importance", within=study["class_places"]),
            suffix=["json", "csv", "png"],
        ),
        pruning=collect(
            "results/{{network}}/classes/{place[0]}/pruning/{place[1]}.{suffix}",
            place=lookup(dpath="{network}/pruning", within=study["class_places"]),
            suffix=["json", "csv", "png", "svg"],
        ),
    output:
        "results/{network}/classes/index.html",
    log:
        "logs/{network}/classes/page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_classes_page.py"),
    message:
        "Make the page on the classes in {wildcards.network}."
    script:
        "../scripts/make_classes_page.py"


rule index:
    input:
        images=collect(
            "results/{shown[0]}/{shown[1]}/{name}",
            shown=study["pages"],
            name=["index.html", "input.png", "prediction.json"],
        ),
        comparisons=collect(
            "results/{page[0]}/comparisons/{page[1]}/index.html", page=study["comparison_pages"]
        ),
        pictures=collect(
            "results/{picture[0]}/comparisons/{picture[1]}/{picture[2]}.png",
            picture=study["comparison_pictures"],
        ),
        class_pages=collect("results/{network}/classes/index.html", network=study["class_pages"]),
        class_pictures=collect(
            "results/{picture[0]}/classes/{picture[1]}/importance/{picture[2]}.png",
            picture=study["class_pictures"],
        ),
        filters=collect("results/{filters[0]}/filters/{filters[1]}.png", filters=study["filters"]),
    output:
        "results/index.html",
    log:
        "logs/index.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_index.py"),
    message:
        "Make the page that leads to all others."
    script:
        "../scripts/make_index.py"
