#!/bin/sh
# The alert rules by their unit tests, and the dashboard, the rules and the guides against what culld exports, logs and
# takes. Exits 77 where promtool (package prometheus) or PyYAML is not installed.
cd "$(dirname "$0")/../.." || exit 1
command -v promtool >/dev/null || { echo "NOT TESTED: promtool (package prometheus) is not installed"; exit 77; }
promtool check rules config/prometheus/culld.rules.yml || exit 1
promtool test rules tests/prometheus/*.test.yml || exit 1
exec python3 tests/prometheus/dashboard_test.py
