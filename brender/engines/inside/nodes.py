"""Inside Blender: file-output nodes of the compositor, which write further files beside each frame."""

import contextlib
import os

import templates


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
    """Have the file-output nodes of *scene* write below *folder* for as long as the block runs, in which *frame* is rendered;
    gives a list, which then has for each node that wrote: its name, the folder that it names itself, the folder where its files
    are, and their names there, which are those that an animation's would have."""
    written, kept = [], []
    nodes = output_nodes(scene) if folder else []
    extension = scene.render.use_file_extension
    if nodes:
        # Without it their files would have none. (The frame's own name has the one that Blender would give it.)
        scene.render.use_file_extension = True
    for number, node in enumerate(nodes):
        place = os.path.join(folder, str(number))
        os.makedirs(place, exist_ok=True)
        attribute = "directory" if hasattr(node, "directory") else "base_path"
        own = getattr(node, attribute)
        directory = os.path.normpath(templates.expanded(scene, node, own)) if own else ""
        name = ""
        if attribute == "base_path" and node.format.file_format == "OPEN_EXR_MULTILAYER":
            # Before Blender 5 this path of a multi-layer node is the beginning of a file's name.
            directory, name = os.path.split(directory) if not own.endswith(("/", "\\")) else (directory, "")
        file_name = getattr(node, "file_name", None)
        kept.append((node, attribute, own, file_name))
        if file_name:
            node.file_name = templates.expanded_name(scene, node, file_name)
        setattr(node, attribute, os.path.join(templates.escaped(place), name))  # with "": the folder, and a slash
        written.append({"node": node.name, "directory": directory, "folder": place, "files": []})
    try:
        yield written
    finally:
        scene.render.use_file_extension = extension
        for number, each in enumerate(written):
            node, attribute, own, file_name = kept[number]
            if attribute == "directory" and not has_frame_number(node):
                number_files(each["folder"], frame)
            setattr(node, attribute, own)
            if file_name:
                node.file_name = file_name
            each["files"] = files_below(each["folder"])
        written[:] = [each for each in written if each["files"]]


def has_frame_number(node):
    """Whether the names of its files say where the frame's number goes."""
    return "#" in node.file_name or any("#" in item.name for item in node.file_output_items)


def number_files(folder, frame):
    """Blender 5 leaves the number away where one frame is rendered by itself."""
    for name in files_below(folder):
        stem, extension = os.path.splitext(os.path.join(folder, name))
        os.rename(stem + extension, "%s%s%04d%s" % (stem, "-" if frame < 0 else "", abs(frame), extension))


def files_below(folder):
    found = []
    for where, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/") for name in names]
    return sorted(found)
