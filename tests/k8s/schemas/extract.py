"""Write the schemas of custom resources beside this file: python tests/k8s/schemas/extract.py WHEEL…

The wheels (`pip download --no-deps --only-binary :all: --python-version 3.14 cloudcoil-models-keda==…`) are models that were
generated from the CRDs of the release that their version names. Only fields, types and bounds are taken; a field that the CRD
does not know is refused, as a strict API server refuses it.
"""

import ast
import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pydantic

_FOLDER = Path(__file__).parent
_KINDS = {
    "cloudcoil/models/keda/v1alpha1.py": ("ScaledObject", "TriggerAuthentication"),
    "cloudcoil/models/prometheus_operator/v1.py": ("PodMonitor", "PrometheusRule"),
}


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", populate_by_name=True)


class _ObjectMeta(pydantic.BaseModel):
    """Kubernetes' own schemas look at metadata."""

    model_config = pydantic.ConfigDict(extra="allow")


def _fields_only(source: str) -> str:
    """Return the models of a module without their builders and overloads."""
    tree = ast.parse(source)
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            kept = [
                part
                for part in node.body
                if isinstance(part, ast.AnnAssign | ast.Expr)
                or (isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "model_config")
            ]
            node.body = kept or [ast.Pass()]
            body.append(node)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("cloudcoil"):
            body.append(node)
    return ast.unparse(ast.Module(body, []))


def schemas(source: str, kinds: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the schemas of `kinds` in a module of models."""
    module = types.ModuleType("models")
    vars(module).update(BaseModel=_Model, Resource=_Model, ObjectMeta=_ObjectMeta, UNSET=None)
    sys.modules["models"] = module
    exec(compile(_fields_only(source), "models", "exec"), vars(module))
    results = {}
    for kind in kinds:
        model = vars(module)[kind]
        model.model_rebuild(_types_namespace=vars(module))
        results[kind] = _plain(model.model_json_schema(by_alias=True))
    return results


def _plain(part: Any) -> Any:
    """Return a schema without titles, descriptions and defaults."""
    if isinstance(part, dict):
        named = {name: _plain(value) for name, value in part.items() if name not in ("title", "description", "default")}
        properties = part.get("properties")
        if isinstance(properties, dict):
            named["properties"] = {name: _plain(value) for name, value in properties.items()}
        return named
    return [_plain(one) for one in part] if isinstance(part, list) else part


def main() -> None:
    """Write the schemas that the wheels of the command line have."""
    for wheel in sys.argv[1:]:
        with zipfile.ZipFile(wheel) as archive:
            for path in set(archive.namelist()) & set(_KINDS):
                for kind, schema in schemas(archive.read(path).decode(), _KINDS[path]).items():
                    (_FOLDER / f"{kind}.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
                    print(kind, Path(wheel).name)


if __name__ == "__main__":
    main()
