"""Inside Blender: the files that the open .blend names, what names each, and which of them are not there.

Blender itself lists paths (``bpy.data.file_path_foreach`` since 5.0, ``bpy.utils.blend_paths`` before), but not what each is for,
not the numbers of a sequence, and not the caches of simulations. What it lists and `references` does not is taken as it is."""

import os
import re
import sys

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import filesets
import sequencer

#: Data-blocks with a path of their own, and brender's word for each.
KINDS = (
    ("images", "image"),
    ("libraries", "library"),
    ("fonts", "font"),
    ("sounds", "sound"),
    ("movieclips", "movie"),
    ("cache_files", "cache"),
    ("volumes", "volume"),
    ("texts", "text"),
)
SHADER_NODES = {"SCRIPT": "OSL script", "TEX_IES": "IES file"}


class Reference:
    """A path that *thing* has in its *attribute*, and whose data-block *owner* is of the open file or of a library.

    ``many``: it stands for several files (a sequence, tiles). ``folder``: it is a folder of caches. ``numbers``: those of a
    sequence or of tiles that a render asks for; None: not known. ``needed``: a render goes wrong without it. ``used``: a render
    may read what is there.
    """

    def __init__(self, owner, thing, attribute, user, many=False, numbers=None, needed=True, used=True, folder=False):
        self.owner, self.thing, self.attribute, self.user = owner, thing, attribute, user
        self.many, self.numbers, self.folder, self.needed, self.used = many, numbers, folder, needed, used

    @property
    def path(self):
        return getattr(self.thing, self.attribute)

    @property
    def library(self):
        """The library that the owner comes from; None: the open file, which the paths of all libraries are relative to."""
        return None if isinstance(self.owner, bpy.types.Library) else self.owner.library

    @property
    def absolute(self):
        return normal(bpy.path.abspath(self.path, library=self.library))

    def told(self, within=""):
        """What the worker's side of brender is told of it. What does not lie *within* that folder, where one is given, counts as
        missing, and nobody looks at what is there."""
        library, absolute = self.library, self.absolute
        files, missing = [], [absolute] if self.needed else []
        if is_inside_folder(absolute, within):
            files = filesets.files_of(absolute, self.many, self.folder) if self.used else []
            missing = filesets.missing_of(absolute, self.many, self.numbers, self.folder) if self.needed else []
        return {
            "path": self.path,
            "absolute": absolute,
            "user": self.user,
            "library": normal(bpy.path.abspath(library.filepath)) if library else "",
            "files": files,
            "missing": missing,
        }


def normal(path):
    """*path* with this machine's slashes; where there are no drives, one with a drive letter keeps the form that it has on
    Windows. (Blender makes /C:/ of C: there.)"""
    if os.name != "nt":
        if re.match(r"/?[A-Za-z]:[\\/]", path):
            return path.lstrip("/").replace("/", "\\")
        path = path.replace("\\", os.sep)
    return os.path.normpath(path)


def is_inside_folder(absolute, within):
    """Whether *absolute* lies within that folder, wherever links lead; any path does where *within* is empty."""
    if not within:
        return True
    root = os.path.realpath(within)
    return os.path.realpath(absolute).startswith(root.rstrip(os.sep) + os.sep)


def references():
    """Every reference of the open file and of what it links; what is packed into it is left out."""
    numbers = sequence_numbers()
    for kind, word in KINDS:
        for thing in getattr(bpy.data, kind, ()):
            if is_inside(thing) or not thing.filepath or thing.filepath == "<builtin>":
                continue
            many = getattr(thing, "source", "") in {"SEQUENCE", "TILED"} or bool(getattr(thing, "is_sequence", False))
            # A text that nothing runs is only read by people.
            needed = kind != "texts" or thing.use_module
            yield Reference(thing, thing, "filepath", "%s %s" % (word, thing.name), many, numbers.get(thing), needed)
    for owner, tree in shader_trees():
        for node in tree.nodes:
            if node.type in SHADER_NODES and getattr(node, "mode", "") == "EXTERNAL" and node.filepath:
                yield Reference(owner, node, "filepath", "%s of %s %s" % (SHADER_NODES[node.type], word_of(owner), owner.name))
    for thing in bpy.data.objects:
        yield from modifier_references(thing)
    for scene in bpy.data.scenes:
        yield from strip_references(scene)


def is_inside(thing):
    """Whether the data of *thing* stands in its .blend: packed, made by Blender, or text that was typed there."""
    if isinstance(thing, bpy.types.Text):
        return thing.is_in_memory
    if isinstance(thing, bpy.types.Image) and thing.source not in {"FILE", "SEQUENCE", "MOVIE", "TILED"}:
        return True
    return bool(getattr(thing, "packed_file", None))


def shader_trees():
    """Each data-block with shader nodes, node groups too, and its tree."""
    for kind in ("materials", "worlds", "lights"):
        for owner in getattr(bpy.data, kind):
            if owner.node_tree is not None:
                yield owner, owner.node_tree
    for group in bpy.data.node_groups:
        if group.bl_idname == "ShaderNodeTree":
            yield group, group


def word_of(owner):
    return {"NodeTree": "node group", "ShaderNodeTree": "node group"}.get(
        owner.bl_rna.identifier, re.sub(r"^.*Light$", "light", owner.bl_rna.identifier).lower()
    )


def modifier_references(thing):
    """Those of the modifiers of the object *thing*: caches, and the folders of simulations."""
    user = "object %s" % thing.name
    for modifier in thing.modifiers:
        kind = modifier.type
        if kind == "MESH_CACHE" and modifier.filepath:
            yield Reference(thing, modifier, "filepath", user)
        elif kind == "OCEAN" and modifier.filepath and modifier.is_cached:
            yield Reference(thing, modifier, "filepath", user, folder=True)
        elif kind == "FLUID" and modifier.fluid_type == "DOMAIN":
            domain = modifier.domain_settings
            baked = any(getattr(domain, name, False) for name in ("has_cache_baked_data", "has_cache_baked_mesh"))
            yield Reference(thing, domain, "cache_directory", user, needed=baked, used=baked, folder=True)
        elif kind == "NODES" and getattr(modifier, "bake_directory", ""):
            yield Reference(thing, modifier, "bake_directory", user, needed=False, folder=True)
            for bake in modifier.bakes:
                if bake.use_custom_path and bake.directory:
                    yield Reference(thing, bake, "directory", user, needed=False, folder=True)
        elif kind == "NODES" and getattr(modifier, "simulation_bake_directory", ""):  # 3.6 to 4.0
            yield Reference(thing, modifier, "simulation_bake_directory", user, needed=False, folder=True)
    for cache in point_caches(thing):
        if cache.use_external and cache.filepath:
            yield Reference(thing, cache, "filepath", user, folder=True)


def point_caches(thing):
    """The point caches of the object *thing*: of its modifiers, its particles, its dynamic paint."""
    for modifier in thing.modifiers:
        if getattr(modifier, "point_cache", None) is not None:
            yield modifier.point_cache
        canvas = getattr(modifier, "canvas_settings", None)
        if canvas is not None:
            for surface in canvas.canvas_surfaces:
                yield surface.point_cache
    for system in thing.particle_systems:
        yield system.point_cache


def strip_references(scene):
    for strip in sequencer.strips_of(scene):
        user = "strip %s of scene %s" % (strip.name, scene.name)
        if strip.type == "MOVIE" and strip.filepath:
            yield Reference(scene, strip, "filepath", user)
        elif strip.type == "IMAGE":
            for element in strip.elements:
                yield StripElement(scene, strip, element, user)


class StripElement(Reference):
    """One picture of an image strip, whose folder is the strip's."""

    def __init__(self, owner, strip, element, user):
        super().__init__(owner, strip, "directory", user)
        self.element = element

    @property
    def path(self):
        return os.path.join(self.thing.directory, self.element.filename)


def sequence_numbers():
    """For each image that is a sequence or has tiles, the numbers of the files that a render of the scenes' frames asks for."""
    found = {}
    for image in bpy.data.images:
        if image.source == "TILED":
            found[image] = {tile.number for tile in image.tiles}
    frames = set()
    for scene in bpy.data.scenes:
        if scene.library is None:
            frames.update(range(scene.frame_start, min(scene.frame_end, scene.frame_start + 100_000) + 1))
    trees = [tree for _, tree in shader_trees()] + [scene_tree(scene) for scene in bpy.data.scenes]
    trees += [group for group in bpy.data.node_groups if group.bl_idname != "ShaderNodeTree"]
    for tree in trees:
        for node in tree.nodes if tree is not None else ():
            image, user = getattr(node, "image", None), getattr(node, "image_user", None)
            if node.bl_idname == "CompositorNodeImage":
                user = node  # which has the fields of an image user itself
            if image is not None and user is not None and image.source == "SEQUENCE":
                found.setdefault(image, set()).update(numbers_of_user(user, frames))
    return found


def scene_tree(scene):
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree


def numbers_of_user(user, frames):
    """The numbers that an image user asks for in *frames* (BKE_image_user_frame_get in Blender's blenkernel/intern/image.cc)."""
    length = user.frame_duration
    if length <= 0:
        return set()
    numbers = set()
    for frame in frames:
        place = frame - user.frame_start + 1
        if user.use_cyclic:
            place = place % length or length
        numbers.add(max(1, min(place, length)) + user.frame_offset)
        if len(numbers) == length:
            break
    return numbers


def all_references(within=""):
    """What `told` says of each reference, and of each path beyond these that Blender lists; of what does not lie *within* that
    folder, where one is given, nothing is told but its path."""
    told, known = [], set()
    for reference in references():
        told.append(reference.told(within))
        known.add(told[-1]["absolute"])
    for library, path in listed_by_blender():
        absolute = normal(path)
        if absolute not in known:
            known.add(absolute)
            told.append(unknown(path, absolute, "data", library, within))
    return told + disk_caches(within)


def listed_by_blender():
    """The paths, absolute, that Blender itself lists, each with the library that names it ("" where that is the open file, or is
    not known)."""
    if not hasattr(bpy.data, "file_path_foreach"):
        return [("", path) for path in bpy.utils.blend_paths(absolute=True, packed=False)]
    found = []

    pictures = {reference.absolute for scene in bpy.data.scenes for reference in strip_references(scene)}

    def see(owner, path, _):
        if isinstance(owner, bpy.types.Scene) and normal(bpy.path.abspath(path, library=owner.library)) not in pictures:
            return  # a sound strip's own, which Blender does not read: the sound has one
        library = None if isinstance(owner, bpy.types.Library) else owner.library
        if path:
            found.append((normal(bpy.path.abspath(library.filepath)) if library else "", bpy.path.abspath(path, library=library)))

    bpy.data.file_path_foreach(see, flags={"SKIP_PACKED", "SKIP_WEAK_REFERENCES"})
    return found


def disk_caches(within):
    """The folder beside the .blend in which point caches of its objects are kept on disk, where it has such."""
    if not any(cache.use_disk_cache and not cache.use_external for thing in bpy.data.objects for cache in point_caches(thing)):
        return []
    folder, name = os.path.split(bpy.data.filepath)
    cache = os.path.join(folder, "blendcache_" + os.path.splitext(name)[0])
    return [unknown("//" + os.path.basename(cache), cache, "simulations", "", within, folder=True)]


def unknown(path, absolute, user, library, within, folder=False):
    """What is told of a path of which nobody knows whether a render needs it."""
    files = filesets.files_of(absolute, False, folder) if is_inside_folder(absolute, within) else []
    return {"path": path, "absolute": absolute, "user": user, "library": library, "files": files, "missing": []}


def missing_files():
    """Each file that a render of the open .blend needs and that is not there, with what uses it."""
    found = {}
    for told in all_references():
        for path in told["missing"]:
            found.setdefault(path, told["user"])
    return [[path, user] for path, user in found.items()]


def used_files():
    """Every file that the open .blend uses: its own and others', each of a sequence, of a set of tiles, of a folder of caches."""
    found = {normal(bpy.data.filepath)}
    for told in all_references():
        found.update(told["files"] or [told["absolute"]])
    return sorted(found)


def rename(names):
    """Let the paths of the open file's own data-blocks that are keys of *names*, as they are written, be the others."""
    if hasattr(bpy.data, "file_path_foreach"):
        flags = {"SKIP_PACKED", "SKIP_LINKED", "SKIP_WEAK_REFERENCES"}
        bpy.data.file_path_foreach(lambda owner, path, _: names.get(path) if path else None, flags=flags)
    for reference in list(references()):
        foreign = reference.owner.parent if isinstance(reference.owner, bpy.types.Library) else reference.owner.library
        other = names.get(reference.path)
        if foreign or other is None:
            continue
        if isinstance(reference, StripElement):
            reference.thing.directory = os.path.dirname(other) + "/"
        else:
            setattr(reference.thing, reference.attribute, other)
