"""Inside Blender: file-output nodes of the compositor, which write further files beside each frame."""

import contextlib
import os

import bpy


def output_nodes(scene):
    """The file-output nodes that take part in *scene*, those in groups too."""
    if hasattr(scene, "compositing_node_group"):  # Blender 5
        tree = scene.compositing_node_group
    else:
        tree = scene.node_tree if scene.use_nodes else None
    if tree is None or not scene.render.use_compositing:
        return []
    found, seen, waiting = [], set(), [tree]
    while waiting:
        tree = waiting.pop()
        if tree is None or tree.name in seen:
            continue
        seen.add(tree.name)
        for node in tree.nodes:
            if node.mute:
                continue
            if node.type == "OUTPUT_FILE":
                found.append(node)
            elif node.type == "GROUP":
                waiting.append(node.node_tree)
    return found


@contextlib.contextmanager
def gathered(scene, folder):
    """Have the file-output nodes of *scene* write below *folder* for as long as the block runs; gives a list, which then has for
    each node that wrote: its name, the folder that it names itself, the folder where its files are, and their names there."""
    written, kept = [], []
    nodes = output_nodes(scene) if folder else []
    for number, node in enumerate(nodes):
        place = os.path.join(folder, str(number))
        os.makedirs(place, exist_ok=True)
        attribute = "directory" if hasattr(node, "directory") else "base_path"
        own = getattr(node, attribute)
        directory = os.path.normpath(bpy.path.abspath(own, library=node.id_data.library)) if own else ""
        name = ""
        if attribute == "base_path" and node.format.file_format == "OPEN_EXR_MULTILAYER":
            # Before Blender 5 this path of a multi-layer node is the beginning of a file's name.
            directory, name = os.path.split(directory) if not own.endswith(("/", "\\")) else (directory, "")
        kept.append((node, attribute, own))
        setattr(node, attribute, os.path.join(place, name))
        written.append({"node": node.name, "directory": directory, "folder": place, "files": []})
    try:
        yield written
    finally:
        for node, attribute, own in kept:
            setattr(node, attribute, own)
        for each in written:
            each["files"] = files_below(each["folder"])
        written[:] = [each for each in written if each["files"]]


def files_below(folder):
    found = []
    for where, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/") for name in names]
    return sorted(found)
