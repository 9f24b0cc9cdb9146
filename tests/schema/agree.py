#!/usr/bin/env python3
"""Holds the JSON Schemas in config/ to the programs, in both directions.

  agree.py lines SCHEMA FILE      every line of FILE is valid, has no member that SCHEMA does not name, and no record
                                  type or member of SCHEMA is missing from FILE
  agree.py job CULLCTL SCHEMA     jobs made from a good one by one change at a time: what `cullctl lint` takes the
                                  schema takes, and the other way round
  agree.py config CULLCTL SCHEMA  the same for configurations
  agree.py valid SCHEMA NAME      standard input is valid as definitions/NAME, line by line

Exit code 0, or 1 with what differs; 77 where no validator is installed.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    sys.exit(77)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def complaint(validator, value):
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    return None if error is None else f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


# ---- lines ----


def members_of(schema, node):
    """The properties of an object's schema, through $ref."""
    while "$ref" in node:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node.get("properties", {})


def walk(schema, node, value, path, seen, unknown):
    while "$ref" in node:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, list):
        for item in value:
            walk(schema, node.get("items", {}) if isinstance(node.get("items"), dict) else {}, item, path, seen, unknown)
        return
    if not isinstance(value, dict) or not node.get("properties"):
        return
    for key, inner in value.items():
        name = f"{path}.{key}"
        if key not in node["properties"]:
            unknown.add(name)
            continue
        seen.add(name)
        walk(schema, node["properties"][key], inner, name, seen, unknown)


def names_in(schema, node, path, out):
    while "$ref" in node:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
    if isinstance(node.get("items"), dict):
        names_in(schema, node["items"], path, out)
    for key, inner in node.get("properties", {}).items():
        out.add(f"{path}.{key}")
        names_in(schema, inner, f"{path}.{key}", out)


def lines(schema_path, file_path):
    schema = load(schema_path)
    validator = jsonschema.Draft7Validator(schema)
    records = {r["if"]["properties"]["type"]["const"]: r["then"] for r in schema["allOf"]}
    wrong, seen, unknown = [], set(), set()
    with open(file_path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            value = json.loads(line)
            if (why := complaint(validator, value)) is not None:
                wrong.append(f"{file_path}:{number}: {why}")
            kind = value["type"]
            if kind not in records:
                wrong.append(f"{file_path}:{number}: the schema has no type {kind}")
                continue
            own = {k: v for k, v in value.items() if k not in schema["properties"]}
            walk(schema, records[kind], own, kind, seen, unknown)
    known = set()
    for kind, record in records.items():
        names_in(schema, record, kind, known)
    # Members that the contract allows a reader to meet, and that this writer never writes.
    never_written = {"intent.ids", "intent.at", "job.rate.reason"}
    wrong += [f"the schema does not name {name}" for name in sorted(unknown)]
    wrong += [f"no line has {name}, which the schema names" for name in sorted(known - seen - never_written)]
    return wrong


# ---- jobs and configurations ----

CHANGES = [None, True, False, 0, 1, 2, -1, 0.5, 1.5, 10, 100, 999, 1000, 10**7, "", "x", "-", "a b", "5", "true",
           "2026-11-25T22:00:00Z", "2026-11-25", "2026-11-25 22:00:00+01:00", "5s", "1.5h", "5 s", "ids.ids",
           "../x.ids", "x.ids.gz", "ledger", ".x", "a" * 101, [], ["x"], ["a b"], [1], ["x", "x"], {}, {"a": "b"},
           {"a": 1}, {"a b": "c"}, {"failed_ratio": 0.5, "after": 10}, {"failed_ratio": 2, "after": 10},
           {"failed_ratio": 0.5}]


def variants(good, changes):
    """(description, document): every member changed, removed, or joined by another, in every place."""
    def places(node, path):
        yield path
        if isinstance(node, dict):
            for key in node:
                yield from places(node[key], path + [key])

    def put(path, value):
        out = copy.deepcopy(good)
        at = out
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return out

    for path in places(good, []):
        if path:
            for value in changes:
                yield f"{'.'.join(path)} = {json.dumps(value)[:60]}", put(path, value)
            out = copy.deepcopy(good)
            at = out
            for key in path[:-1]:
                at = at[key]
            del at[path[-1]]
            yield f"without {'.'.join(path)}", out
        at = good
        for key in path:
            at = at[key]
        if isinstance(at, dict):
            yield f"{'.'.join(path + ['surplus'])}", put(path + ["surplus"], "x")


def compare(schema_path, documents, ask, beyond, lenient=()):
    """`ask(documents)` asks the program, and gives for each whether it takes it and what it said; `beyond` are
    refusals that a schema cannot make, `lenient` complaints of the schema that the program need not share."""
    validator = jsonschema.Draft7Validator(load(schema_path))
    wrong, count, accepted = [], 0, 0
    documents = list(documents)
    for (what, document), (taken, said) in zip(documents, ask([d for _, d in documents]), strict=True):
        why = complaint(validator, document)
        count += 1
        accepted += taken
        if taken and why is not None and not any(l in why for l in lenient):
            wrong.append(f"{what}: the program takes it, the schema says {why}")
        if not taken and why is None and not any(b in said for b in beyond):
            wrong.append(f"{what}: the schema takes it, the program says {said.strip()}")
    print(f"{count} documents, {accepted} of them good")
    if accepted < 10 or accepted > count - 10:
        wrong.append("too few of either kind to prove anything")
    return wrong


def job(cullctl, schema_path):
    full = {"version": 1, "id": "j-1", "resource": "incidents", "project_id": "p", "workspace_id": "w", "ids": ["x", "y"],
            "batch_size": 5, "max_attempts": 2, "priority": 3, "not_before": "2026-11-25T22:00:00Z",
            "deadline": "2027-11-25T22:00:00Z", "dry_run": True, "verify": "all", "expect_count": 2,
            "abort_when": {"failed_ratio": 0.5, "after": 10}, "labels": {"ticket": "SEC-1"}}
    sidecar = {"version": 1, "ids_file": "ids.ids"}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "ids.ids"), "w", encoding="utf-8") as file:
            file.write("x\ny\n")

        def ask(documents):
            paths = [os.path.join(folder, f"job{number}.json") for number in range(len(documents))]
            for path, document in zip(paths, documents):
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(document, file)
            run = subprocess.run([cullctl, "lint", *paths, "--json", "--spool", folder, "--journal-dir", folder],
                                 capture_output=True, text=True, check=False)
            answers = [json.loads(line) for line in run.stdout.splitlines()]
            assert [a["path"] for a in answers] == paths, run.stderr
            for answer in answers:
                yield answer["ok"], answer.get("error", "")

        documents = list(variants(full, CHANGES + ["alerts", "indicators", "notes", "resources", "checkitems", "none", "failed"])) + list(variants(sidecar, CHANGES))
        documents.append(("both lists", {**full, "ids_file": "ids.ids"}))
        # Two fields against each other; a list against its count; a file that is not there.
        return compare(schema_path, documents, ask,
                       ["deadline is not after", "no way to ask", "expect_count", "No such file", "no ids", "is not an RFC 3339 time"])


def config(cullctl, schema_path):
    schema = load(schema_path)
    good = {}

    def example(node):
        while "$ref" in node:
            node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
        if "properties" in node:
            return {key: example(inner) for key, inner in node["properties"].items()}
        if "default" in node:
            return node["default"]
        return {"endpoint": "https://x.example", "region": "cn-north-4"}.get("", "x")

    for section, node in schema["properties"].items():
        good[section] = example(node)
    good["api"]["endpoint"] = "https://api.example"
    good["api"]["proxy"] = "http://proxy.example:3128"
    good["auth"]["iam"]["endpoint"] = "https://iam.example"
    good["notify"]["command"] = ["/bin/true", "-x"]
    good["notify"]["webhook"] = "https://hook.example/x?y=1"
    del good["notify"]["webhook_file"]  # the URL comes from one of the two
    for node, key, definition in ((good["api"], "connect_timeout", "5s"), (good["api"], "request_timeout", "30s"),
                                  (good["spool"], "rescan", "30s"), (good["spool"], "sidecar_wait", "10s"),
                                  (good["retry"], "base_delay", "500ms"), (good["retry"], "max_delay", "60s"),
                                  (good["retry"], "give_up_after", "24h"), (good["retry"], "blocked_probe", "5m"),
                                  (good["breaker"], "probe", "15s"),
                                  (good["notify"], "timeout", "10s")):
        node[key] = definition
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "culld.yaml")

        def ask(documents):
            for document in documents:
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(document, file)  # JSON is YAML
                run = subprocess.run([cullctl, "list", "--config", path, "--journal-dir", folder], capture_output=True,
                                     text=True, check=False, env={"PATH": os.environ["PATH"]})
                yield run.returncode != 78, run.stdout + run.stderr

        # Fewer than for jobs: there are many settings, and each question is a process.
        changes = [None, True, 0, 1, -1, 0.5, 10**7, "", "x", "a b", "5", "5s", "1.5h", "5 s", [], ["x"], {}, "post",
                   "https://h.example", "http://127.0.0.1:1", "["]
        # What lies between settings is the loader's alone.
        beyond = ["neither api.endpoint nor", "belong together", "is set without", "are both set", "and api.proxy is not",
                  "must be at most api.", "must be at most retry."]
        # In YAML a text needs no quotes, and project_id: 12 is one; an editor that warns of it does no harm.
        return compare(schema_path, variants(good, changes), ask, beyond, ["is not of type 'string'"])


def valid(schema_path, name):
    schema = load(schema_path)
    validator = jsonschema.Draft7Validator({**schema, "$ref": f"#/definitions/{name}"})
    wrong, count = [], 0
    for number, line in enumerate(sys.stdin, 1):
        count += 1
        if (why := complaint(validator, json.loads(line))) is not None:
            wrong.append(f"line {number}: {why}")
    return wrong if count else ["nothing came"]


def main():
    modes = {"lines": lines, "job": job, "config": config, "valid": valid}
    wrong = modes[sys.argv[1]](*sys.argv[2:])
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
