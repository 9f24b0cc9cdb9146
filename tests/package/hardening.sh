#!/usr/bin/env bash
# hardening.sh BUILD: installs what BUILD holds into a temporary folder, and sees that each program there is hardened.
set -euo pipefail
build=${1:?the build folder}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >"$work/install.log" || { cat "$work/install.log"; exit 1; }

failures=0
wants() { # program, what, text, pattern
    grep -qE "$4" <<<"$3" && return
    echo "FAILED  $1: $2"
    failures=$((failures + 1))
}
programs=("$work/usr/sbin/culld" "$work/usr/bin/cullctl" "$work/usr/bin/cull-emulator")
for program in "${programs[@]}"; do
    head=$(readelf -hW "$program") dynamic=$(readelf -dW "$program") parts=$(readelf -lW "$program")
    symbols=$(readelf --dyn-syms -W "$program")
    wants "$program" "is loaded at the same place each time (PIE)" "$head" 'Type: +DYN'
    wants "$program" "can write to its own relocations (RELRO)" "$parts" 'GNU_RELRO'
    wants "$program" "binds calls late (BIND_NOW)" "$dynamic" 'BIND_NOW|FLAGS_1.*NOW'
    wants "$program" "has a stack that can be executed" "$parts" 'GNU_STACK.* RW '
    wants "$program" "has no stack protector" "$symbols" '__stack_chk_fail'
    wants "$program" "has no fortified calls" "$symbols" '__[a-z]+_chk@'
    if grep -qE 'R(UN)?PATH' <<<"$dynamic"; then
        echo "FAILED  $program: looks for libraries where it was built (RPATH)"
        failures=$((failures + 1))
    fi
done
[ $failures -eq 0 ] || exit 1
echo "${#programs[@]} programs are hardened"
