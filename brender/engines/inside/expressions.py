"""Which driver expressions Blender evaluates in a file whose scripts are not trusted. Needs no Blender.

Blender compiles an expression and looks at its names and operations (BPY_driver_exec in bpy_driver.cc): functions of ``math`` and
a few more may be called; attributes, comprehensions and functions that a script has added may not.
"""

import ast
import math

_NAMES = {name for name in dir(math) if not name.startswith("_")} | {
    *("all", "any", "len", "max", "min", "pow", "round", "sum", "bool", "float", "int"),
    *("frame", "self", "depsgraph", "lerp", "clamp", "smoothstep"),
}
_REFUSED = (
    *(ast.Attribute, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    *(ast.JoinedStr, ast.NamedExpr, ast.Starred, ast.Await, ast.Yield, ast.YieldFrom),
)


def needs_trust(expression: str, variables: list[str]) -> bool:
    """Whether Blender evaluates *expression*, of a driver with these *variables*, only in a trusted file. (It has an evaluator of
    its own for simple expressions, which also knows ``abs``.)

    >>> [needs_trust(text, ["var"]) for text in ("var * sin(frame)", "bpy.context.scene.frame_current", "wobble(var)", "var +")]
    [False, True, True, False]
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return False  # a mistake, trusted or not
    known = _NAMES | set(variables)
    return any(
        isinstance(node, _REFUSED) or (isinstance(node, ast.Name) and (node.id not in known or node.id.startswith("_")))
        for node in ast.walk(tree)
    )
