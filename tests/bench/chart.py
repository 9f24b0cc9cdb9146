#!/usr/bin/env python3
"""Makes a picture of what compare.py measured: CPU per million ids, one group of bars for each case.

    tests/bench/chart.py RESULTS.json [--out docs/performance.svg]

One SVG that needs nothing else, on a light ground of its own, so that it can be read on a dark page too.
"""
import argparse, html, json, pathlib

WIDTH, LEFT, BAR, STEP, HEAD, GAP = 760, 158, 14, 22, 26, 20
SCALE = WIDTH - LEFT - 190  # the longest bar; right of it is room for its label
COLOURS = {"culld": "#0b6bcb", "wrk": "#c9ced6"}
NAMES = {"go-simd": "Go, fasthttp, simd", "go-expert": "Go, fasthttp", "go-idiomatic": "Go, net/http",
         "node-sdk": "vendor's Node SDK", "wrk": "wrk (bound)"}
STYLE = """text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.group,.ours{font-weight:600}.small{font-size:12px;fill:#59636e}"""


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{html.escape(words)}</text>'


def seconds(value):
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def group(case, y):
    """A case's bars from y down, to a scale of their own; and where they end."""
    parts = [text(20, y + 14, f"{case['batch']} ids a request, {'TLS' if case['tls'] else 'plain HTTP'}", "group")]
    y += HEAD
    clients = sorted(case["clients"].items(), key=lambda item: item[1]["cpu_s_per_million"]["median"])
    longest = clients[-1][1]["cpu_s_per_million"]["median"]
    for name, client in clients:
        cpu, kind = client["cpu_s_per_million"], "ours" if name == "culld" else ""
        length = max(1.5, SCALE * cpu["median"] / longest)
        colour, tip = COLOURS.get(name, "#7d8794"), f"{seconds(cpu['min'])} to {seconds(cpu['max'])} s"
        parts += [text(LEFT - 8, y + 12, NAMES.get(name, name), kind, "end"),
                  f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{colour}">'
                  f"<title>{tip}</title></rect>"]
        label = f"{seconds(cpu['median'])} s"
        if client["ratio"] and name != "culld":
            label += f"  ({client['ratio']['median']:.2g} × culld)"
        parts.append(text(LEFT + length + 8, y + 12, label, kind))
        y += STEP
    return parts, y


def picture(results):
    parts, y = [], 84
    for case in results["cases"]:
        more, y = group(case, y)
        parts += more
        y += GAP
    machine, heads = results["machine"], "CPU seconds per million ids"
    rounds = f"Medians of {results['rounds']} interleaved rounds" if results["rounds"] > 1 else "One round"
    foot = f"{machine['cpu']}; Linux {machine['kernel']}; {results['versions']['culld']}; {results['date']}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 24}" viewBox="0 0 {WIDTH} {y + 24}" '
        f'role="img" aria-label="{heads}">', f"<style>{STYLE}</style>",
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{y + 23}" rx="8" fill="#fbfcfd" stroke="#d1d9e0"/>',
        text(20, 32, heads, "title"),
        text(20, 54, f"Less is better. {rounds}, {results['connections']} connections, one core; bars are to scale "
             "within each group.", "small"),
        *parts, text(20, y + 6, foot, "small"), "</svg>\n"])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("results", type=pathlib.Path)
    args.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "docs/performance.svg")
    args = args.parse_args()
    args.out.write_text(picture(json.loads(args.results.read_text())))


main()
