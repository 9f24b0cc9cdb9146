#!/usr/bin/env bash
# What docs/architecture.md says of floors that the link lines do not hold: what core knows nothing of, and who owns what.
set -u
cd "$(dirname "$0")/../.." || exit
bad=0
refuse() { # what, pattern, folders…
    local found
    found=$(grep -rnE --include="*.?pp" "$2" "${@:3}") || return 0
    printf 'floors: %s\n%s\n' "$1" "$found" >&2
    bad=1
}
core=(daemon/core include/culld/core)
io=(daemon/io include/culld/io)
refuse 'core knows no sockets, files, threads or logs' \
    '#include <(boost/asio|boost/beast|spdlog|fstream|thread|mutex|sys/|fcntl\.h|unistd\.h)' "${core[@]}"
refuse 'core includes nothing from the floors above' '#include "culld/(io|app)/' "${core[@]}"
refuse 'io includes nothing from the floor above' '#include "culld/app/' "${io[@]}"
all=(daemon include)
refuse 'a thread has an owner that joins it' '\.detach\(\)' "${all[@]}"
# Comments and texts may use the words.
refuse 'no raw new or delete' \
    '^([^/"]|/[^/"])*(= *|return |\()new +[A-Za-z_:]+ *[({[;]|^([^/"]|/[^/"])*\bdelete(\[\])? +[a-z_]+(\.[a-z_]+)* *;' "${all[@]}"
exit $bad
