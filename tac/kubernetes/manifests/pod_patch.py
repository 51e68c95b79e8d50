"""The user's patch of every pod: a strategic merge patch of the pod template, or a JSON patch.

The result is what `kubectl patch` makes of it: a test compares the two.
Of the API only the keys that merge its lists are known here, so the API server, and not this
module, finds a field that does not exist.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from tac.errors import ConfigError, cut

Fields: TypeAlias = dict[str, Any]
Items: TypeAlias = list[Any]

MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""The lists of a pod template whose items are merged, and the field that identifies an item:
each `x-kubernetes-patch-merge-key` of the API's own schema (Kubernetes 1.36). Every other list,
tolerations among them, is replaced whole:
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/"""

_DIRECTIVE, _REPLACE, _DELETE = "$patch", "replace", "delete"
_PARTS = {"metadata", "spec"}
_KINDS = "a mapping is a strategic merge patch of the pod template, a list a JSON patch of it"


@dataclass(frozen=True)
class PodPatch:
    """A patch of the pod template, and its file, for messages."""

    source: str
    content: Fields | Items
    """A mapping is a strategic merge patch, a list holds the operations of a JSON patch."""

    def apply(self, template: Fields) -> Fields:
        """Return the pod template as the patch makes it; the one given stays as it is.

        Raises:
            ConfigError: the patch does not fit it.
        """
        if isinstance(self.content, dict):
            patched = _merge(template, self.content, f"{self.source}: template")
        else:
            patched = _operate(template, self.content, self.source)
        if unknown := ", ".join(sorted(patched.keys() - _PARTS)):
            raise ConfigError(
                f"{self.source}: {unknown}: no part of a pod template",
                hint="a patch begins with `metadata` or `spec`, those of the pods",
            )
        return patched


def parse_patch(path: str, data: bytes) -> PodPatch:
    """Parse a file's content; errors name the file.

    Raises:
        ConfigError: it is no patch.
    """
    try:
        content = _parse(path, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read: {error}", hint="save it as UTF-8") from error
    if not isinstance(content, dict | list):
        raise ConfigError(f"{path}: holds {content!r:.50}, which is no patch", hint=_KINDS)
    return PodPatch(path, content)


def _parse(path: str, text: str) -> Any:
    import yaml  # steps read the settings too, and need none of this

    try:
        # JSON may be indented with tabs, YAML may not.
        content = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        kind = "JSON" if path.endswith(".json") else "YAML"
        raise ConfigError(f"{path}: is no {kind}: {cut(str(error))}", hint=_KINDS) from error
    try:
        return json.loads(json.dumps(content))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: holds what the API cannot be sent: {error}",
            hint='put a date, and whatever else is to be text, into quotes: "2023-03-01"',
        ) from error


# A JSON patch: https://www.rfc-editor.org/rfc/rfc6902


def _operate(template: Fields, operations: Items, source: str) -> Fields:
    import jsonpatch

    whole: Any = template
    for number, operation in enumerate(operations, 1):
        where = f"{source}: operation {number} {json.dumps(operation):.200}"
        hint = "lists count from 0 and end with `-`, as in /spec/containers/0/env/-"
        try:
            whole = jsonpatch.JsonPatch([operation]).apply(whole)
        except jsonpatch.InvalidJsonPatch as error:
            raise ConfigError(f"{where}: {cut(str(error))}", hint=hint) from error
        except jsonpatch.JsonPatchTestFailed as error:
            raise ConfigError(f"{where}: the pod template differs there", hint=hint) from error
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            # The library's own message holds the whole document.
            raise ConfigError(f"{where}: leads nowhere in the pod template", hint=hint) from error
    return whole if isinstance(whole, dict) else {"the whole": whole}


# A strategic merge patch:
# https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md


def _merge(base: Fields, patch: Fields, where: str) -> Fields:
    directive = _directive(patch, where)
    if directive == _DELETE:
        return {}
    if directive == _REPLACE:
        return {key: _new(value) for key, value in patch.items() if key != _DIRECTIVE}
    merged = dict(base)
    for key, value in patch.items():
        result = _merge_field(base.get(key), value, key, f"{where}.{key}")
        merged[key] = result
        if result is None:
            del merged[key]
    return merged


def _merge_field(base: Any, patch: Any, key: str, where: str) -> Any:
    if patch is None:
        return None
    for kind, words in ((dict, "mapping"), (list, "list")):
        if isinstance(base, kind) and not isinstance(patch, kind):
            raise ConfigError(
                f"{where}: is no {words}: {patch!r:.50}", hint="a null deletes a field"
            )
    if isinstance(base, dict):
        return _merge(base, patch, where)
    if isinstance(base, list) and key in MERGE_KEYS:
        return _merge_list(base, patch, MERGE_KEYS[key], where)
    return _new(patch)


def _merge_list(base: Items, patch: Items, key: str, where: str) -> Items:
    given: Items = []
    deleted: Items = []
    replaced = False
    for place, item in enumerate(patch):
        spot = f"{where}[{place}]"
        directive = _directive(item, spot) if isinstance(item, dict) else None
        if directive == _REPLACE:
            replaced = True
        elif directive is None or not isinstance(item.get(key), str | int):
            raise ConfigError(
                f"{spot}: has no {key}, by which Kubernetes merges this list",
                hint=f"give each item its {key}, or put `$patch: replace` beside them",
            )
        else:
            (deleted if directive == _DELETE else given).append(item)
    if replaced:
        return [_new(item) for item in given]
    kept = [item for item in base if item.get(key) not in [each[key] for each in deleted]]
    merged = list(kept)
    for item in given:
        found = _place(merged, key, item)
        if found is None:
            merged.append(_new(item))
        else:
            merged[found] = _merge(merged[found], item, f"{where}[{item[key]}]")
    return _in_order(merged, key, kept, given)


def _directive(patch: Fields, where: str) -> str:
    for key, value in patch.items():
        if key.startswith("$") and (key, value) not in (
            (_DIRECTIVE, _REPLACE),
            (_DIRECTIVE, _DELETE),
        ):
            raise ConfigError(
                f"{where}: `{key}: {value}` is not understood",
                hint="`$patch` is replace or delete; a null deletes a field",
            )
    return str(patch.get(_DIRECTIVE, ""))


def _new(value: Any) -> Any:
    """Return a new value, without nulls and without what a directive deletes."""
    if isinstance(value, dict):
        if _DIRECTIVE in value:
            return None
        made = {key: _new(each) for key, each in value.items()}
        return {key: each for key, each in made.items() if each is not None}
    if isinstance(value, list):
        return [each for each in map(_new, value) if each is not None]
    return value


def _place(items: Items, key: str, item: Fields) -> int | None:
    return next((place for place, each in enumerate(items) if each.get(key) == item[key]), None)


def _in_order(merged: Items, key: str, before: Items, given: Items) -> Items:
    """Order a merged list as the API server does.

    Items of the patch are in the patch's order. Other items precede them only where they did so
    before: new items come first.
    """
    named = [item[key] for item in given]
    rest = [item for item in merged if item.get(key) not in named]
    ordered: Items = []
    for name in dict.fromkeys(named):
        place = _place(before, key, {key: name})
        while rest and place is not None and before.index(rest[0]) < place:
            ordered.append(rest.pop(0))
        ordered += [item for item in merged if item.get(key) == name]
    return ordered + rest
