#!/usr/bin/env python3
"""Holds config/prometheus, config/grafana and the guides in docs/ to what culld exports, logs and understands.

  dashboard_test.py [--scrape FILE] [--promtool PROGRAM]

- Every metric, label and label value in an expression of the dashboard or the rules is one that culld exports: by
  daemon/app/status/metrics.cpp, or by a scrape of /metrics in FILE, which is exact.
- The dashboard is valid: panels do not overlap, each has an expression, each asks the data source variable.
- Every alert has a `for`, a severity, a summary, a description with a command, and a runbook section that exists.
- Every cullctl command and option, every logged event and every setting that rules and guides name exists.
- promtool accepts every expression; for every alert tests/prometheus/*.test.yml has a time when it fires and one when
  it does not; and its texts expand without an error.

Exit code 0, or 1 with what is wrong; 77 where PyYAML or promtool is not installed.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("NOT TESTED: no PyYAML (python3-yaml)")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "config/prometheus/culld.rules.yml"
DASHBOARD = ROOT / "config/grafana/culld.json"
TESTS = sorted((ROOT / "tests/prometheus").glob("*.test.yml"))
GUIDES = [ROOT / "docs/operate.md", ROOT / "docs/audit.md"]
SEVERITIES = {"critical", "warning", "info", "none"}
PROMETHEUS_OWN = {"up", "ALERTS"}  # made by Prometheus itself
TARGET_LABELS = {"job", "instance"}
SUFFIXES = {"histogram": ["_bucket", "_sum", "_count"], "summary": ["_sum", "_count"]}
wrong = []


def complain(where, what):
    wrong.append(f"{where}: {what}")


# ---- what culld exports: {metric: {label: {value, …} or None where any will do}} ----

def exported_by_source():
    text = (ROOT / "daemon/app/status/metrics.cpp").read_text(encoding="utf-8")
    literals = set(re.findall(r'"([a-z_]+)"', text))
    out, family = {}, []
    token = re.compile(r'family\(\s*"(\w+)",\s*"(\w+)"|labelled\(\s*"(\w+)",\s*(?:"(\w+)")?|(culld_\w+)\{\{(.*?)\}\}')
    for name, kind, label, value, inline, labels in token.findall(text):
        if name:
            family = [name + s for s in SUFFIXES.get(kind, [""])]
            for each in family:
                out[each] = {}
        elif label:
            for each in family:
                known = out[each].setdefault(label, set())
                known |= {value} if value else literals
        else:
            out[inline].update({key: None for key in re.findall(r'(\w+)=\\"', labels)})
    return out


def exported_by_scrape(path):
    out = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        sample = re.fullmatch(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+', line)
        if line.startswith("#") or not line:
            continue
        if not sample:
            complain(path, f"no line of /metrics: {line}")
            continue
        labels = out.setdefault(sample[1], {})
        for key, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ""):
            labels.setdefault(key, set()).add(value)
    return out


# ---- expressions ----

# Grafana's variables, as they might be filled in.
def filled_in(expr):
    for name, value in (("$__rate_interval", "5m"), ("$__interval", "1m"), ("$__range", "6h"), ("$job", "culld"),
                        ("$instance", ".*")):
        expr = expr.replace(name, value)
    return expr


def selectors(expr):
    """Yields (metric, [(label, operator, value), …]) for each one in a PromQL expression."""
    matcher = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
    bare = re.sub(r'\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)', " ", expr)
    bare = re.sub(r'\[[^\]]*\]', " ", bare)
    bare = re.sub(r'\boffset\s+\w+', " ", bare)
    words = {"and", "or", "unless", "bool", "inf", "nan"}
    bare = re.sub(r'"[^"]*"(?![^{]*\})', "", bare)
    for name, braces, call in re.findall(r'([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?', bare):
        if not call and name.lower() not in words and not re.fullmatch(r'e\d*', name):
            yield name, matcher.findall(braces)


def check_names(where, expr, exported, recorded):
    found = list(selectors(filled_in(expr)))
    if not found:
        complain(where, f"names no metric: {expr}")
    for name, matchers in found:
        if name in recorded or name in PROMETHEUS_OWN:
            continue
        if name not in exported:
            complain(where, f"culld exports no {name}")
            continue
        for label, operator, value in matchers:
            if label in TARGET_LABELS:
                continue
            values = exported[name].get(label, set())
            if label not in exported[name]:
                complain(where, f"{name} has no label {label}")
            elif values is not None:
                for each in value.split("|") if "~" in operator else [value]:
                    if each not in values:
                        complain(where, f"{name} has no {label}=\"{each}\"")


def dashboard_expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"{DASHBOARD.name}: {panel['title']}", target["expr"]
    for each in dashboard["annotations"]["list"]:
        yield f"{DASHBOARD.name}: annotation {each['name']}", each["expr"]
    for each in dashboard["templating"]["list"]:
        if each["type"] == "query":
            query = re.fullmatch(r'label_values\((.*), (\w+)\)', each["query"]["query"])
            yield f"{DASHBOARD.name}: variable {each['name']}", query[1]


# ---- the dashboard ----

def check_dashboard(dashboard):
    if dashboard["schemaVersion"] < 36:
        complain(DASHBOARD.name, "its schema is older than Grafana 9")
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    if not {"datasource", "job", "instance"} <= variables:
        complain(DASHBOARD.name, "a variable is missing")
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        title, at = panel["title"], panel["gridPos"]
        if panel["id"] in ids:
            complain(title, "its id is another panel's, too")
        ids.add(panel["id"])
        if at["x"] + at["w"] > 24:
            complain(title, "is beyond the right edge")
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if cell in taken:
                complain(title, f"lies over {taken[cell]}")
                break
            taken[cell] = title
        if panel["type"] == "row":
            continue
        if panel.get("datasource", {}).get("uid") != "${datasource}":
            complain(title, "does not ask the data source variable")
        if not panel.get("targets"):
            complain(title, "has no expression")


# ---- the rules ----

def anchors(path):
    """The sections of a Markdown file, as GitHub names them."""
    heads = re.findall(r'^#+ (.*)$', path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower().strip()).replace(" ", "-") for head in heads}


def check_alert(rule):
    name, notes = rule["alert"], rule.get("annotations", {})
    if "for" not in rule:
        complain(name, "has no `for`")
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        complain(name, "has no severity that is known")
    for key in ("summary", "description", "runbook_url"):
        if not notes.get(key):
            return complain(name, f"has no {key}")
    if not re.search(r'\b(cullctl|systemctl|journalctl|culld --)', notes["description"]):
        complain(name, "its description names no command")
    page, _, section = notes["runbook_url"].partition("#")
    if not (ROOT / page).exists() or section not in anchors(ROOT / page):
        complain(name, f"there is no section {notes['runbook_url']}")
    if name not in (ROOT / page).read_text(encoding="utf-8"):
        complain(name, f"{page} does not name it")


# ---- what texts tell people to type, against the source ----

def source_of(*folders):
    return "\n".join(p.read_text(encoding="utf-8") for f in folders for p in sorted((ROOT / f).rglob("*.[ch]pp")))


def check_words(texts):
    ctl, daemon = source_of("daemon/ctl"), source_of("daemon/app", "daemon/io", "daemon/core")
    verbs = set(re.findall(r'add_subcommand\(\s*"([a-z]+)"', ctl)) | set(re.findall(r'\{\.name = "([a-z]+)"', ctl))
    options = {o for text in re.findall(r'"(-[^"]*)"', ctl) for o in text.split(",")} | {"--help"}
    events = set(re.findall(r'"([a-z]+\.[a-z_]+)"', daemon)) | {"ready", "stopping", "stopped", "reloaded", "throttled",
                                                                  "command"}
    settings = set(re.findall(r'"([a-z]+(?:\.[a-z_]+)+)"', source_of("daemon/core")))
    sections = {s.split(".")[0] for s in settings if s.split(".")[0] in (
        "api", "auth", "spool", "journal", "ids", "batch", "limits", "jobs", "retry", "breaker", "http", "log")}
    for where, text in texts:
        for verb, rest in re.findall(r'cullctl(?: --[a-z-]+[ =]\S+)* ([a-z]+)([^;|`\n>,]*)', text):
            if verb not in verbs:
                complain(where, f"there is no cullctl {verb}")
            for option in re.findall(r'(?<=\s)(--?[a-z][a-z-]*)', rest):
                if option not in options:
                    complain(where, f"cullctl {verb} has no {option}")
        for event in re.findall(r'CULLD_EVENT=([a-z._]+)', text):
            if event.rstrip(".") not in events:
                complain(where, f"culld logs no {event}")
        for setting in re.findall(r'`([a-z]+(?:\.[a-z_]+)+)`', text):
            if setting.split(".")[0] in sections and setting not in settings and setting not in events:
                complain(where, f"there is no setting {setting}")


# ---- promtool ----

def run(promtool, *arguments):
    return subprocess.run([promtool, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def check_with_promtool(promtool, expressions, alerts):
    for arguments in (("check", "rules", RULES), ("test", "rules", *TESTS)):
        done = run(promtool, *arguments)
        if done.returncode != 0:
            complain("promtool " + " ".join(arguments[:2]), done.stdout)
    with tempfile.TemporaryDirectory() as folder:
        rules = [{"record": f"check:expression:{n}", "expr": filled_in(e)} for n, (_, e) in enumerate(expressions)]
        path = pathlib.Path(folder, "expressions.yml")
        path.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}), encoding="utf-8")
        done = run(promtool, "check", "rules", path)
        if done.returncode != 0:
            complain("promtool check rules", done.stdout + "\n".join(f"{n}: {e}" for n, e in enumerate(expressions)))
    check_alert_tests(promtool, alerts)


def is_silent(asked, test):
    """Nothing fires then, or not all instances that are in the test."""
    firing, there = (set(re.findall(r'instance="(\w+)"', str(each)))
                     for each in (asked["exp_samples"], test["input_series"]))
    return not asked["exp_samples"] or bool(there - firing)


# Each alert fires at one time of its test and is silent at another; asked for its texts when it fires, promtool shows
# them, since none are expected.
def check_alert_tests(promtool, alerts):
    fires, silent = set(), set()
    for path in TESTS:
        whole = yaml.safe_load(path.read_text(encoding="utf-8"))
        asking = []
        for test in whole["tests"]:
            for asked in test.get("promql_expr_test", []):
                name = (re.findall(r'alertname="(\w+)"', asked["expr"]) or [""])[0]
                if name in alerts and is_silent(asked, test):
                    silent.add(name)
                if name not in alerts or not asked["exp_samples"] or name in fires:
                    continue
                fires.add(name)
                ask = {"alertname": name, "eval_time": asked["eval_time"], "exp_alerts": []}
                asking.append({**{k: test[k] for k in ("interval", "input_series")}, "alert_rule_test": [ask]})
        with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
            yaml.safe_dump({**whole, "rule_files": [str(RULES)], "tests": asking}, file)
            file.flush()
            told = run(promtool, "test", "rules", file.name).stdout
        for name in (test["alert_rule_test"][0]["alertname"] for test in asking):
            shown = re.search(rf'alertname: {name}, (?s:.*?)summary=.*', told)
            if not shown or re.search(r"error expanding|<no value>", shown[0]):
                complain(name, f"its texts cannot be shown: {shown[0] if shown else told}")
    for name in alerts:
        if name not in fires:
            complain(name, "no test makes it fire")
        if name not in silent:
            complain(name, "no test finds it silent")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scrape", help="a file with the text of /metrics")
    parser.add_argument("--promtool", default="promtool")
    options = parser.parse_args()
    exported = exported_by_scrape(options.scrape) if options.scrape else exported_by_source()
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    rules = [r for g in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for r in g["rules"]]
    recorded = {r["record"] for r in rules if "record" in r}
    expressions = list(dashboard_expressions(dashboard))
    expressions += [(r.get("alert") or r["record"], r["expr"]) for r in rules]
    for where, expr in expressions:
        check_names(where, expr, exported, recorded)
    check_dashboard(dashboard)
    alerts = [r["alert"] for r in rules if "alert" in r]
    for rule in rules:
        if "alert" in rule:
            check_alert(rule)
    texts = [(r["alert"], r["annotations"]["description"]) for r in rules if "alert" in r]
    check_words(texts + [(str(p.relative_to(ROOT)), p.read_text(encoding="utf-8")) for p in GUIDES])
    tested = True
    try:
        check_with_promtool(options.promtool, expressions, alerts)
    except FileNotFoundError:
        tested = False
        print("NOT TESTED: no promtool (Debian's package prometheus)")
    for each in wrong:
        print(each)
    if not wrong:
        print(f"{len(expressions)} expressions, {len(alerts)} alerts, {len(exported)} metrics exported")
    return 1 if wrong else 0 if tested else 77


if __name__ == "__main__":
    sys.exit(main())
