#!/usr/bin/env bash
# The Debian package in a fresh Debian that boots: installed, run, upgraded in the middle of a job, removed, purged.
# package_test.sh FOLDER: the folder that ./dev package has filled. Nothing outside a temporary folder is changed.
set -euo pipefail

not_tested() {
    printf '\nNOT TESTED: %s\n\n' "$1" >&2
    exit 77
}
folder=${1:?the folder that ./dev package has filled}
[ "$(id -u)" -eq 0 ] || not_tested "installing a package in a Debian of its own takes root"
for program in debootstrap systemd-nspawn nsenter; do
    command -v $program >/dev/null || not_tested "$program is not installed (debootstrap, systemd-container, util-linux)"
done
deb=$(find "$folder" -maxdepth 1 -name 'culld_*.deb')
tgz=$(find "$folder" -maxdepth 1 -name 'culld-*.tar.gz')
if [ ! -f "$deb" ] || [ ! -f "$tgz" ]; then not_tested "$folder holds no package: run ./dev package"; fi

work=$(mktemp -d /tmp/culld-package.XXXXXX)
root=$work/root
machine=$(basename "$work" | tr -cd '[:alnum:]')
container=
leader=
clean_up() {
    if [ -n "$container" ]; then
        # systemd's word for: power off now. Then the container's own process, which takes all of it along.
        kill -s RTMIN+14 "$leader" 2>/dev/null || true
        for _ in {1..100}; do kill -0 "$container" 2>/dev/null || break && sleep 0.2; done
        kill -KILL "$container" 2>/dev/null || true
        wait "$container" 2>/dev/null || true
    fi
    # What a systemd on this machine would have tidied up.
    rmdir "/run/systemd/nspawn/propagate/$machine" 2>/dev/null || true
    [ -d /run/systemd/system ] || find /sys/fs/cgroup -depth -type d \( -path '*/payload*' -o -path '*/supervisor' \) \
        -exec rmdir {} + 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*" >&2; }
failures=0
# What is true, and a command that finds out. Its output is shown where it fails.
check() {
    if "${@:2}" >"$work/said" 2>&1; then
        echo "ok      $1"
    else
        echo "FAILED  $1"
        sed 's/^/        /' "$work/said"
        failures=$((failures + 1))
    fi
}
# What must go well for the rest to mean anything.
must() {
    "${@:2}" >"$work/said" 2>&1 && return
    echo "FAILED  $1"
    sed 's/^/        /' "$work/said"
    exit 1
}
not() { ! "$@"; }
same() { [ "$1" = "$2" ] || { echo "\"$1\" is not \"$2\"" && return 1; }; }
eventually() { # seconds, command…
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [ $SECONDS -lt $end ] || { echo "not within $1 s: ${*:2}" && return 1; }
        sleep 0.2
    done
}
clean_env=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
nspawn=(systemd-nspawn --quiet --register=no --machine="$machine" --directory="$root")
[ -d /run/systemd/system ] || nspawn+=(--keep-unit)  # nobody here could give it a unit of its own
before_boot() { "${nspawn[@]}" --pipe "${clean_env[@]}" "$@"; }
inside() { nsenter -t "$leader" -a "${clean_env[@]}" "$@"; }
in_shell() { inside sh -c "$1"; }
apt() { inside apt-get -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "$@"; }

say "a fresh Debian"
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# The mirrors of this machine, and how it reaches them.
# shellcheck disable=SC2016
mapfile -t sources < <(apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian')
mirror=$(printf '%s\n' "${sources[@]}" | awk -v release="$release" '$3 == release { print $2; exit }')
[ -n "$mirror" ] || not_tested "apt knows no mirror of Debian $release (apt-get update?)"
debootstrap --variant=minbase "$release" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 5 "$work/debootstrap.log" >&2
    not_tested "debootstrap could not make a Debian"
}
printf '%s\n' "${sources[@]}" >"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::https?::|^Acquire::Check-' >"$root/etc/apt/apt.conf.d/as-here" || true

# Upgrades: the same files under higher numbers; the second changes the configuration that is installed.
cp "$deb" "$root/root/culld_1.deb"
dpkg-deb -R "$deb" "$work/unpacked"
for number in 2 3; do
    sed -i "s/^\(Version: [^+]*\).*/\1+$number/" "$work/unpacked/DEBIAN/control"
    [ $number = 2 ] || echo '# A new default.' >>"$work/unpacked/etc/culld/culld.yaml"
    dpkg-deb -b "$work/unpacked" "$root/root/culld_$number.deb" >/dev/null
done
mkdir "$root/root/tgz"
tar -xzf "$tgz" -C "$root/root/tgz" --strip-components=1

must "apt knows Debian" before_boot apt-get update -q
must "what the package depends on can be fetched" before_boot apt-get install -y -q --no-install-recommends systemd
mapfile -t wanted < <(before_boot apt-get install -s --no-install-recommends /root/culld_1.deb |
    awk '$1 == "Inst" && $2 != "culld" { print $2 }')
must "what the package depends on can be fetched" \
    before_boot apt-get install -y -q --no-install-recommends --download-only "${wanted[@]}"
must "its timers can be stopped" before_boot systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer console-getty.service

say "it boots"
"${nspawn[@]}" --boot --private-network </dev/null >"$work/console.log" 2>&1 &
container=$!
begun() { leader=$(pgrep -P "$container") && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; }
eventually 120 begun || {
    tail -n 5 "$work/console.log" >&2
    not_tested "systemd does not boot in a container here"
}

say "install"
must "apt installs it" apt install /root/culld_1.deb
# shellcheck disable=SC2016
check "its version is the program's" same "culld $(inside dpkg-query -W -f='${Version}' culld)" "$(inside culld --version)"
check "the service is not enabled" same "$(inside systemctl is-enabled culld)" disabled
check "the service is not started" same "$(inside systemctl is-active culld)" inactive
gone() { # files, as a shell would name them
    in_shell "for name in $*; do [ ! -e \"\$name\" ] || { echo \"\$name is there\" && exit 1; }; done"
}
place() { check "$1 is $2" same "$(inside stat -c '%A %U %G' "$1")" "$2"; }
place /usr/sbin/culld '-rwxr-xr-x root root'
place /usr/bin/cullctl '-rwxr-xr-x root root'
place /usr/bin/cull-emulator '-rwxr-xr-x root root'
place /lib/systemd/system/culld.service '-rw-r--r-- root root'
place /etc/culld/culld.yaml '-rw-r--r-- root root'
place /var/spool/culld 'drwxr-xr-x culld culld'
place /var/spool/culld/tmp 'drwxrws--T culld culld-submit'
place /var/spool/culld/incoming 'drwxrws--T culld culld-submit'
for name in active "done" failed; do place /var/spool/culld/$name 'drwxr-x--- culld culld'; done
place /var/spool/culld/rejected 'drwxr-s--- culld culld-submit'
for name in /usr/lib/sysusers.d/culld.conf /usr/lib/tmpfiles.d/culld.conf /usr/share/culld/schema/job.schema.json \
    /usr/share/doc/culld/examples/culld.yaml /usr/share/doc/culld/examples/emulator-scenario.yaml \
    /usr/share/doc/culld/README.Debian /usr/share/bash-completion/completions/cullctl \
    /usr/share/zsh/vendor-completions/_cullctl /usr/share/fish/vendor_completions.d/cullctl.fish \
    /usr/share/man/man8/culld.8.gz /usr/share/man/man1/cullctl.1.gz /usr/share/man/man1/cull-emulator.1.gz \
    /usr/share/man/man5/culld.yaml.5.gz /usr/share/man/man5/culld-job.5.gz /usr/share/man/man5/culld-journal.5.gz; do
    check "$name is there" inside test -s $name
done
check "nothing lies where the FHS has no place for it" same \
    "$(inside dpkg -L culld | grep -vE '^/(\.|etc|lib|usr)(/|$)|^/usr$')" ""
# shellcheck disable=SC2016
check "culld.yaml is the only file dpkg treats as configuration" same \
    "$(inside dpkg-query -W -f='${Conffiles}' culld | awk 'NF { print $1 }')" /etc/culld/culld.yaml
check "the user has no shell, and may read what was dropped" same \
    "$(inside getent passwd culld | cut -d: -f6,7) $(inside id -nG culld)" \
    "/var/lib/culld:/usr/sbin/nologin culld culld-submit"
check "cullctl demo runs, as nobody" in_shell 'cd / && runuser -u nobody -- cullctl demo'
check "the demo leaves nothing behind" gone '/tmp/culld-demo.*'
refuses() {
    local code=0
    inside culld --check-config || code=$?
    same $code 78
}
check "culld --check-config wants an endpoint (78)" refuses
check "the service refuses to run without one" in_shell '! systemctl start culld && systemctl reset-failed culld'

say "a job, and an upgrade in the middle of it"
# As README.Debian says.
must "it can be configured" in_shell 'install -d -m 0700 /etc/culld/credentials /etc/systemd/system/culld.service.d
    umask 077 && echo secret >/etc/culld/credentials/token && umask 022
    printf "[Service]\nLoadCredential=token:/etc/culld/credentials/token\n" >/etc/systemd/system/culld.service.d/override.conf
    cat >/etc/systemd/system/emulator.service <<UNIT
[Service]
ExecStart=/root/tgz/bin/cull-emulator --listen 127.0.0.1:8080 --token secret
UNIT
    sed -i -e "s,^api:,&\n  endpoint: http://127.0.0.1:8080\n  project_id: p\n  workspace_id: w," \
        -e "s,^auth:,&\n  token_file: token," -e "s,^  #requests_per_second:.*,  requests_per_second: 10," \
        /etc/culld/culld.yaml
    systemctl daemon-reload && systemctl start emulator && useradd -m -G culld-submit alice'
configured=$(inside sha256sum /etc/culld/culld.yaml)
write_job() { # name, batches of ten
    local ids
    ids=$(seq -f "$1-%g" -s ', ' "$(($2 * 10))")
    echo "{version: 1, id: $1, batch_size: 10, ids: [$ids]}" >"$root/home/alice/$1.yaml"
}
submit() { inside runuser -u alice -- cullctl submit --yes "/home/alice/$1.yaml"; }
field() { inside cullctl status "$1" --json | grep -oE "\"$2\":\"?[a-z0-9_]+" | head -n 1 | sed 's/.*[:"]//'; }
is() { same "$(field "$1" "$2")" "$3" >/dev/null; }
has_begun() { [ "$(field "$1" deleted)" -gt 0 ] 2>/dev/null; }
# What systemd itself says of the service since then.
ended_well() {
    local told
    told=$(inside journalctl _PID=1 --since="@$begins" -o cat | grep culld)
    echo "$told"
    grep -q 'culld.service: Deactivated successfully' <<<"$told" && ! grep -E 'exited|Failed|timed out|Kill' <<<"$told"
}
main_pid() { inside systemctl show -P MainPID culld; }
check "culld --check-config agrees" inside env CREDENTIALS_DIRECTORY=/etc/culld/credentials culld --check-config
must "the service starts once it is configured" inside systemctl enable --now culld
place /var/lib/culld/journal 'drwxr-x--- culld culld'
check "it reloads" inside systemctl reload culld
check "and says so" eventually 10 in_shell 'journalctl -u culld | grep "read again"'
write_job upgraded 300
must "somebody of group culld-submit may submit" submit upgraded
must "the job has begun" eventually 60 has_begun upgraded
old_pid=$(main_pid)
begins=$(date +%s)
must "apt upgrades it" apt install /root/culld_2.deb
check "the job was not done when the upgrade ended" is upgraded state running
check "the new daemon runs" inside systemctl is-active culld
check "it is another process" test "$(main_pid)" -ne "$old_pid"
check "the old one ended as it should" ended_well
check "the job goes on to its end" eventually 120 is upgraded state finished
check "every id has its verdict" is upgraded deleted 3000
check "journal and ledger are whole" inside cullctl verify
check "changes to culld.yaml are kept" same "$(inside sha256sum /etc/culld/culld.yaml)" "$configured"
must "the emulator ends" inside systemctl stop emulator
check "the API deleted each id once" in_shell \
    'journalctl -u emulator -o cat | grep "\"deleted_distinct\":3000,\"double_deleted\":0,"'
must "the emulator starts" inside systemctl start emulator

say "an upgrade that changes the configuration, of a stopped daemon"
must "the service stops" inside systemctl stop culld
must "apt upgrades it" apt install /root/culld_3.deb
check "changes to culld.yaml are kept" same "$(inside sha256sum /etc/culld/culld.yaml)" "$configured"
check "the new one lies beside it" in_shell 'tail -n 1 /etc/culld/culld.yaml.dpkg-dist | grep "new default"'
check "what was stopped stays stopped" same "$(inside systemctl is-active culld)" inactive
check "what was enabled stays enabled" same "$(inside systemctl is-enabled culld)" enabled

say "remove, in the middle of a job"
must "the service starts" inside systemctl start culld
write_job removed 300
must "a job is submitted" submit removed
must "the job has begun" eventually 60 has_begun removed
begins=$(date +%s)
must "apt removes it" apt remove culld
check "the daemon is gone" in_shell '! grep -x culld /proc/[0-9]*/comm'
check "it ended as it should" ended_well
check "its programs are gone" gone /usr/sbin/culld /usr/bin/cullctl /lib/systemd/system/culld.service
check "its configuration is there" same "$(inside sha256sum /etc/culld/culld.yaml)" "$configured"
check "the job lies where it was" inside test -f /var/spool/culld/active/removed.yaml
must "apt installs it again" apt install /root/culld_3.deb
must "the service starts" inside systemctl start culld
check "the job goes on to its end" eventually 120 is removed state finished
check "every id has its verdict" is removed deleted 3000

say "purge"
must "the service stops" inside systemctl stop culld
evidence() { in_shell 'find /var/lib/culld /var/spool/culld /etc/culld/credentials -type f -printf "%p %m %u %g " -exec sha256sum {} \;'; }
before=$(evidence)
check "there is something to lose" test "$(wc -l <<<"$before")" -ge 6
must "apt purges it" apt purge culld
cp "$work/said" "$work/purge"
check "nothing of what it wrote is deleted or changed" same "$(evidence)" "$before"
for name in /var/lib/culld /var/spool/culld /etc/culld; do check "it says that $name stays" grep -q "culld:   $name" "$work/purge"; done
check "its configuration is gone" gone '/etc/culld/culld.yaml*'
check "no link to its unit is left" in_shell '! find /etc/systemd -name culld.service | grep .'
check "who owns the evidence still has a name" inside getent passwd culld
check "the TGZ's cullctl verifies what is left" inside /root/tgz/bin/cullctl verify --journal-dir /var/lib/culld/journal

say "the TGZ, and a purge where there is nothing to keep"
check "cullctl demo runs in the TGZ's folder, as nobody" \
    in_shell 'cp -r /root/tgz /opt/culld && cd / && runuser -u nobody -- /opt/culld/bin/cullctl demo'
must "the evidence can be deleted" in_shell 'rm -r /var/lib/culld /var/spool/culld /etc/culld /etc/systemd/system/culld.service.d'
must "apt installs it" apt install /root/culld_1.deb
must "apt purges it" apt purge culld
cp "$work/said" "$work/purge"
check "nothing is left" gone /etc/culld /var/lib/culld /var/spool/culld /var/log/culld
check "nothing is said" not grep 'culld: ' "$work/purge"

[ $failures -eq 0 ] || { printf '\n%s checks failed\n' "$failures" >&2 && exit 1; }
say "all of it holds"
