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
            ordering=tables["orderings"],
        ),
        volumes=collect(
            "results/{{network}}/{{image}}/volumes/{ordering}/{{layer}}.{suffix}",
            ordering=tables["orderings"],
            suffix=["nhdr", "mhd", "hd", "vox"],
        ),
    output:
        "results/{network}/{image}/viewer/{layer}.html",
    log:
        "logs/{network}/{image}/viewer/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        orderings=list(tables["orderings"]),
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        blob=lookup(dpath="{network}/{layer}/blob", within=tables["layers"]),
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
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        code=code("make_gradient_viewer.py"),
    message:
        "Make the 3D page of neuron {wildcards.cls} by {wildcards.layer} on {wildcards.image}."
    script:
        "../scripts/make_gradient_viewer.py"


rule image_page:
    input:
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        labels=lookup(dpath="{network}/labels", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=tables["networks"]),
        array="results/{network}/{image}/input.npy",
        prediction="results/{network}/{image}/prediction.json",
        filters=collect(
            "results/{{network}}/filters/{layer}.png",
            layer=lookup(dpath="{network}/{image}/convolutions", within=tables["shown"]),
        ),
        orderings=collect(
            "results/{{network}}/{{image}}/orderings/{ordering}/{layer}.json",
            ordering=tables["orderings"],
            layer=lookup(dpath="{network}/{image}/convolutions", within=tables["shown"]),
        ),
        grids=collect(
            "results/{{network}}/{{image}}/grids/{ordering}/{layer}.png",
            ordering=tables["orderings"],
            layer=lookup(dpath="{network}/{image}/convolutions", within=tables["shown"]),
        ),
        volumes=collect(
            "results/{{network}}/{{image}}/volumes/{ordering}/{layer}.{suffix}",
            ordering=tables["orderings"],
            layer=lookup(dpath="{network}/{image}/volumes", within=tables["shown"]),
            suffix=["vox", "hd", "nhdr", "mhd"],
        ),
        binary_volumes=collect(
            "results/{{network}}/{{image}}/volumes/{ordering}/{layer}.binary.{suffix}",
            ordering=tables["orderings"],
            layer=lookup(dpath="{network}/{image}/volumes", within=tables["shown"]),
            suffix=["vox", "hd", "nhdr", "mhd"],
        ),
        slices=collect(
            "results/{{network}}/{{image}}/slices/{place[0]}/row-{place[1]}/{name}",
            place=lookup(dpath="{network}/{image}/slices", within=tables["shown"]),
            name=[*collect("kmeans-{k}.png", k=tables["slices"]["k"]), "pca.png", "slice.json"],
        ),
        gradients=collect(
            "results/{{network}}/{{image}}/gradients/{cls}/{layer}.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=tables["shown"]),
            layer=lookup(dpath="{network}/{image}/gradients", within=tables["shown"]),
            suffix=["png", "vox", "hd", "nhdr", "mhd"],
        ),
        checks=collect(
            "results/{{network}}/{{image}}/gradients/{cls}.check.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=tables["shown"]),
            suffix=[] if tables["check"]["mode"] == "none" else ["json", "png"],
        ),
        saliency=collect(
            "results/{{network}}/{{image}}/attributions/{cls}/{name}",
            cls=lookup(dpath="{network}/{image}/classes", within=tables["shown"]),
            name=["saliency.png", "saliency.npy", "data_gradient.npy"],
        ),
        attributions=collect(
            "results/{{network}}/{{image}}/attributions/{cls}/{kind}/{layer}.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=tables["shown"]),
            kind=tables["attributions"],
            layer=lookup(dpath="{network}/{image}/gradients", within=tables["shown"]),
            suffix=["png", "vox", "hd", "nhdr", "mhd"],
        ),
        importance=collect(
            "results/{{network}}/{{image}}/importance/{cls}/{layer}.{suffix}",
            cls=lookup(dpath="{network}/{image}/classes", within=tables["shown"]),
            layer=lookup(dpath="{network}/{image}/gradients", within=tables["shown"]),
            suffix=["csv", "png"],
        ),
        volume_viewers=collect(
            "results/{{network}}/{{image}}/viewer/{layer}.html",
            layer=lookup(dpath="{network}/{image}/volumes", within=tables["shown"]),
        ),
        gradient_viewers=collect(
            "results/{{network}}/{{image}}/viewer/gradient-{cls}-{layer}.html",
            cls=lookup(dpath="{network}/{image}/classes", within=tables["shown"]),
            layer=lookup(dpath="{network}/{image}/gradients", within=tables["shown"]),
        ),
    output:
        page="results/{network}/{image}/index.html",
        picture="results/{network}/{image}/input.png",
    log:
        "logs/{network}/{image}/page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        mean=lookup(dpath="{network}/mean", within=tables["networks"]),
        input_scale=lookup(dpath="{network}/input_scale", within=tables["networks"]),
        channel_order=lookup(dpath="{network}/channel_order", within=tables["networks"]),
        input_shape=lookup(dpath="{network}/input_shape", within=tables["networks"]),
        code=code("make_image_page.py"),
    message:
        "Make the page of {wildcards.image} in {wildcards.network}."
    script:
        "../scripts/make_image_page.py"


rule comparison_page:
    input:
        labels=lookup(dpath="{network}/labels", within=tables["networks"]),
        gradients=collect(
            "results/{{network}}/{member[image]}/gradients/{neuron}.npz",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
            neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        ),
        predictions=collect(
            "results/{{network}}/{member[image]}/prediction.json",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        ),
        members=collect(
            "results/{{network}}/{member[image]}/{name}",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
            name=["input.png", "index.html"],
        ),
        layers=collect(
            "results/{{network}}/comparisons/{{comparison}}/{layer}.{suffix}",
            layer=lookup(dpath="{network}/{comparison}/layers", within=tables["comparisons"]),
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
        members=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        code=code("make_comparison_page.py"),
    message:
        "Make the page of the comparison {wildcards.comparison}."
    script:
        "../scripts/make_comparison_page.py"


rule classes_page:
    input:
        importance=collect(
            "results/{{network}}/classes/{place[0]}/importance/{place[1]}.{suffix}",
            place=lookup(dpath="{network}/importance", within=tables["class_places"]),
            suffix=["json", "csv", "png"],
        ),
        pruning=collect(
            "results/{{network}}/classes/{place[0]}/pruning/{place[1]}.{suffix}",
            place=lookup(dpath="{network}/pruning", within=tables["class_places"]),
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
            shown=tables["pages"],
            name=["index.html", "input.png", "prediction.json"],
        ),
        comparisons=collect(
            "results/{page[0]}/comparisons/{page[1]}/index.html", page=tables["comparison_pages"]
        ),
        pictures=collect(
            "results/{picture[0]}/comparisons/{picture[1]}/{picture[2]}.png",
            picture=tables["comparison_pictures"],
        ),
        class_pages=collect("results/{network}/classes/index.html", network=tables["class_pages"]),
        class_pictures=collect(
            "results/{picture[0]}/classes/{picture[1]}/importance/{picture[2]}.png",
            picture=tables["class_pictures"],
        ),
        filters=collect("results/{filters[0]}/filters/{filters[1]}.png", filters=tables["filters"]),
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
