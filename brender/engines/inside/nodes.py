"""Inside Blender: file-output nodes of the compositor, which write further files beside each frame."""

import contextlib
import os

import sequencer
import templates


def tree_of(scene):
    """The nodes that pictures of *scene* go through; ``None`` where they go through none."""
    if not scene.render.use_compositing:
        return None
    if hasattr(scene, "compositing_node_group"):  # Blender 5
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def shown_by(scene):
    """The other scenes that the sequencer of *scene* shows, and theirs."""
    found, waiting = [], [scene] if scene.render.use_sequencer else []
    while waiting:
        for strip in sequencer.strips_of(waiting.pop()):
            shown = strip.scene if strip.type == "SCENE" else None
            if shown is not None and shown != scene and shown not in found:
                found.append(shown)
                waiting.append(shown)
    return found


def output_nodes(scene):
    """The file-output nodes that take part in *scene*, those in groups too."""
    return [node for node in _nodes_of(scene) if node.type == "OUTPUT_FILE"]


def composited(scene):
    """The other scenes that Render Layers nodes of *scene* show. Blender renders each by its own settings."""
    shown = (node.scene for node in _nodes_of(scene) if node.type == "R_LAYERS")
    return list(dict.fromkeys(other for other in shown if other is not None and other != scene))


def _nodes_of(scene):
    """The nodes that are not muted, those in groups too."""
    tree = tree_of(scene)
    found, seen, waiting = [], set(), [] if tree is None else [tree]
    while waiting:
        tree = waiting.pop()
        if tree is None or tree.name in seen:
            continue
        seen.add(tree.name)
        for node in tree.nodes:
            if node.mute:
                continue
            if node.type == "GROUP":
                waiting.append(node.node_tree)
            else:
                found.append(node)
    return found


def paths(scene):
    """For each file that file-output nodes of *scene* write: the node's name, and the path as it stands there."""
    found = []
    for node in output_nodes(scene):
        whole = node.format.file_format == "OPEN_EXR_MULTILAYER"
        if hasattr(node, "directory"):
            names = [node.file_name + ("" if whole else item.name) for item in node.file_output_items]
            folder = node.directory
        else:
            names, folder = [""] if whole else [slot.path for slot in node.file_slots], node.base_path
        found += [[node.name, folder + "/" + name] for name in names]
    return found


@contextlib.contextmanager
def gathered(scene, frame, folder):
    """Have the file-output nodes of *scene*, and of those that its sequencer shows, write below *folder* for as long as the block
    runs, in which *frame* is rendered; gives a list, which then has for each node that wrote: its name, the folder that it names
    itself, the folder where its files are, and their names there, which are those that an animation's would have."""
    written, kept = [], []
    extension = scene.render.use_file_extension
    found, owners = [], []
    for each in [scene, *shown_by(scene)] if folder else []:
        for node in output_nodes(each):
            if node not in found:
                found.append(node)
                owners.append(each)
    if found:
        # Without it their files would have none. (The frame's own name has the one that Blender would give it.)
        scene.render.use_file_extension = True
    for number, node in enumerate(found):
        place = os.path.join(folder, str(number))
        os.makedirs(place, exist_ok=True)
        attribute = "directory" if hasattr(node, "directory") else "base_path"
        own = getattr(node, attribute)
        at = frame if owners[number] == scene else None  # (a strip has its own frames)
        directory = os.path.normpath(templates.expanded(owners[number], node, own, at)) if own else ""
        name = ""
        if attribute == "base_path" and node.format.file_format == "OPEN_EXR_MULTILAYER":
            # Before Blender 5 this path of a multi-layer node is the beginning of a file's name.
            directory, name = os.path.split(directory) if not own.endswith(("/", "\\")) else (directory, "")
        kept.append((node, attribute, own))
        if getattr(node, "file_name", None):
            kept.append((node, "file_name", node.file_name))
            node.file_name = templates.expanded_name(owners[number], node, node.file_name, at)
        setattr(node, attribute, os.path.join(templates.escaped(place), name))  # with "": the folder, and a slash
        for named, word in without_number(node):
            # Blender 5 leaves the number away where one frame is rendered by itself.
            kept.append((named, word, getattr(named, word)))
            setattr(named, word, getattr(named, word) + "####")
        written.append({"node": node.name, "directory": directory, "folder": place, "files": []})
    try:
        yield written
    finally:
        scene.render.use_file_extension = extension
        for thing, word, own in reversed(kept):
            setattr(thing, word, own)
        for each in written:
            each["files"] = files_below(each["folder"])
        written[:] = [each for each in written if each["files"]]


def without_number(node):
    """What ends the names of files of *node* that do not say where the frame's number goes: owners of names, and the name's
    attribute. Before Blender 5 they need not say it."""
    if not hasattr(node, "directory") or "#" in node.file_name:
        return []
    if node.format.file_format == "OPEN_EXR_MULTILAYER":
        return [(node, "file_name")]
    return [(item, "name") for item in node.file_output_items if "#" not in item.name]


def unnumbered(scene):
    """Whether a file-output node of *scene* writes files whose names do not say where the frame's number goes."""
    return any(without_number(node) for node in output_nodes(scene))


def files_below(folder):
    found = []
    for where, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/") for name in names]
    return sorted(found)
