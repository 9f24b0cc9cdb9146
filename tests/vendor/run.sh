#!/usr/bin/env bash
# Runs sdk_client.cjs, or says why it does not: run.sh FOLDER_WITH_NODE_MODULES CULL_EMULATOR CULLCTL
set -eu
skip() { echo "skipped: $1; ./dev vendor sees to that" >&2; exit 77; }
command -v node >/dev/null || skip "node is not installed"
[ -d "$1/node_modules/@huaweicloud/huaweicloud-sdk-core" ] || skip "the vendor's SDK core is not in $1"
NODE_PATH=$1/node_modules exec node "$(dirname "$0")/sdk_client.cjs" "$2" "$3"
