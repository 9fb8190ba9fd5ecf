#!/bin/sh
# Get what the build needs.  Says what it will do, does it once, is quiet and offline afterwards.
#
#   tools/deps.sh [--tools=GROUP,...] [--mode=auto|system|private] [--fastcrypto=auto|yes|no] [--refresh] [--status]
#
# Three kinds of things are needed:
#
#  tools and small libraries   gcc, meson, ninja, cmocka, libsodium, SQLite, c-ares, miniupnpc, ...: the system's own packages, by apt, only
#                              those that are missing.  Groups: build (default), test, check, clang; all is these four.
#                              use: nginx, sshd, Chromium and others for tests/system/real_use.  What of it cannot be had
#                              is said and left out.  nginx, sshd and Prometheus are not started, but will be at the next start of
#                              this machine unless you disable them: meant for machines of CI.
#                              deb: what packaging/deb.py makes and tries Debian packages with.
#  the protocol libraries      OpenSSL >= 3.5, ngtcp2 >= 1.16 with its OpenSSL helper, libuv, BLAKE3.
#  the fast primitives         AWS-LC's ML-KEM, ML-DSA, X25519 and Ed25519, where their source can be had: see
#                              tools/deps/fastcrypto.sh.  Without them OpenSSL's are used.  --fastcrypto is remembered.
#
# Protocol libraries come in one of two ways, found out here (--mode=auto):
#
#  system    pkg-config (or apt) has all of them, new enough: they are used as they are.
#  private   otherwise.  An apt root of its own under build/deps, owned by the calling user, downloads trixie's and
#            trixie-backports' packages from the mirror the system's apt already uses, checks signatures against the
#            Debian keyring, and unpacks them under build/deps.  Nothing on the system changes and root is not needed.
#            They are linked statically.  glibc before 2.38 lacks one symbol they use: tools/deps/glibc_compat.c.
#
# Result: build/deps/deps.ini, a meson native file (meson setup --native-file), and build/deps/pkgconfig in the private way.
# build/deps/info tells what was chosen.  Delete build/deps, or say --refresh, to fetch the newest again.
set -eu
LC_ALL=C
export LC_ALL

top=$(cd "$(dirname "$0")/.." && pwd)
dir=$top/build/deps
suite=trixie
recipe=1 # one more whenever what lies in build/deps has to be made anew
openssl_min=3.5.0
ngtcp2_min=1.16.0
libuv_min=1.44.0
blake3_min=1.3.0
groups=build
mode=${QUDAG_DEPS:-auto}
fast=${QUDAG_FASTCRYPTO:-$(cat "$dir/fast.want" 2>/dev/null || echo auto)} # as asked for last
refresh=no

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

for arg in "$@"; do
    case $arg in
    --tools=*) groups=build,${arg#*=} ;;
    --mode=*) mode=${arg#*=} ;;
    --fastcrypto=*) fast=${arg#*=} ;;
    --refresh) refresh=yes ;;
    --status) cat "$dir/info" 2>/dev/null || die "not made yet: run tools/deps.sh"; exit 0 ;;
    *) die "unknown argument $arg; see the head of tools/deps.sh" ;;
    esac
done
case $mode in
auto | system | private) ;;
*) die "mode must be auto, system or private, not $mode" ;;
esac
case $fast in
auto | yes | no) ;;
*) die "fastcrypto must be auto, yes or no, not $fast" ;;
esac

# ---------------------------------------------------------------- 1. tools, by the system's apt

have() { command -v "$1" >/dev/null 2>&1; }

missing=
want() { missing="$missing $1"; } # package

clang_version() { clang --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p' | head -n 1; }

look_build() {
    have gcc || want gcc
    [ -e /usr/include/stdio.h ] || want libc6-dev
    have meson || want meson
    have ninja || want ninja-build
    have pkg-config || want pkg-config
    [ -x /usr/bin/python3 ] || want python3
    [ -e /usr/include/sodium.h ] || want libsodium-dev
    [ -e /usr/include/sqlite3.h ] || want libsqlite3-dev
    [ -e /usr/include/ares.h ] || want libc-ares-dev
    [ -e /usr/include/miniupnpc/miniupnpc.h ] || want libminiupnpc-dev
    [ -e /usr/include/zlib.h ] || want zlib1g-dev # sqlite3.pc names -lz for static linking; libsqlite3-dev does not bring it
    [ -e /usr/include/ini.h ] || want libinih-dev
    [ -e /usr/include/microhttpd.h ] || want libmicrohttpd-dev
    [ -e /usr/include/qrencode.h ] || want libqrencode-dev
    [ -e /usr/include/seccomp.h ] || want libseccomp-dev
    [ -e /usr/include/cap-ng.h ] || want libcap-ng-dev
    # Any flavour of libcurl will do; of those that are packaged the one without an OpenSSL of its own.
    pkg-config --exists libcurl 2>/dev/null || want libcurl4-gnutls-dev
    [ -e /usr/include/cmocka.h ] || want libcmocka-dev
}
look_test() {
    have g++ || want g++
    have miniupnpd || want miniupnpd-nftables # tests/system/portmap: a router that opens ports
    have nft || want nftables
    have valgrind || want valgrind # tests/ct: time does not depend on secrets
    /usr/bin/python3 -c 'import cryptography' 2>/dev/null || want python3-cryptography
    /usr/bin/python3 -c 'import google.protobuf' 2>/dev/null || want python3-protobuf
}
look_check() {
    have clang-format || want clang-format
    have abidiff || want abigail-tools
}
look_deb() {
    have mmdebstrap || want mmdebstrap
    have lintian || want lintian
    have dpkg-source || want dpkg-dev
    have git || want git
}
look_clang() {
    if ! have clang; then
        want clang
        want "libclang-rt-dev"
        return
    fi
    [ -e "$(clang -print-file-name="libclang_rt.fuzzer-$(uname -m).a")" ] ||
        [ -e "$(clang -print-runtime-dir)/libclang_rt.fuzzer.a" ] || want "libclang-rt-dev"
}

wanted_use=
look_use() { # program, package
    have "$1" || wanted_use="$wanted_use $2"
}
look_all_use() {
    look_use curl curl
    look_use git git
    look_use ssh openssh-client
    look_use nft nftables
    look_use ip iproute2
    look_use nginx nginx-light
    look_use sshd openssh-server
    look_use setpriv util-linux
    look_use turnserver coturn
    look_use promtool prometheus
    have chromium || have google-chrome || look_use chromium-headless-shell chromium-headless-shell
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        die "root is needed once for: $*"
    fi
}
apt_install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }
apt_install_fresh() { # install; the package lists may be absent or old, so once more after an update
    apt_install "$@" >"$top/build/apt.log" 2>&1 && return 0
    say "apt-get update, then once more"
    as_root apt-get update -qq >>"$top/build/apt.log" 2>&1 || true
    apt_install "$@" >>"$top/build/apt.log" 2>&1 && return 0
    tail -n 5 "$top/build/apt.log" >&2
    die "apt could not install: $*"
}
rt_package() { # the sanitizer runtimes carry clang's version in their name
    if have clang; then
        printf 'libclang-rt-%s-dev' "$(clang_version)"
    else
        apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1
    fi
}

install_use() { # one by one: what cannot be had keeps nothing else away
    [ -n "$wanted_use" ] || return 0
    have apt-get || { say "left out, as there is no apt here:$wanted_use"; return 0; }
    say "will install by apt:$wanted_use"
    policy=/usr/sbin/policy-rc.d made=
    if [ ! -e $policy ]; then # what is installed for a test does not begin to run
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy"
        made=yes
    fi
    for package in $wanted_use; do
        if (apt_install_fresh "$package"); then
            echo "$package" >>"$top/build/tools.use" # tests/system/real_use leaves nothing of these out
        else
            say "left out: $package"
        fi
    done
    [ -z "$made" ] || as_root rm -f $policy
}

install_tools() {
    mkdir -p "$top/build"
    missing=
    for g in $(printf %s "$groups" | tr , ' '); do
        case $g in
        build | test | check | clang | deb) "look_$g" ;;
        use) look_all_use ;;
        all) look_test && look_check && look_clang ;;
        *) die "unknown tool group $g" ;;
        esac
    done
    install_use
    [ -n "$missing" ] || return 0
    have apt-get || die "these are missing and there is no apt here to install them:$missing"
    case $missing in
    *libclang-rt-dev*)
        [ -n "$(rt_package)" ] || as_root apt-get update -qq
        missing=$(printf %s "$missing" | sed "s/libclang-rt-dev/$(rt_package)/")
        ;;
    esac
    say "will install by apt:$missing"
    # shellcheck disable=SC2086
    apt_install_fresh $missing
}

# ---------------------------------------------------------------- 2. which way

pc_ok() { pkg-config --exists "$1 >= $2" 2>/dev/null; }
system_complete() {
    pc_ok libssl "$openssl_min" && pc_ok libngtcp2 "$ngtcp2_min" && pc_ok libngtcp2_crypto_ossl "$ngtcp2_min" &&
        pc_ok libuv "$libuv_min" && pc_ok libblake3 "$blake3_min"
}
apt_offers() { # package, least version: does the system's apt have it?
    v=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}//p')
    [ -n "$v" ] && [ "$v" != "(none)" ] && dpkg --compare-versions "$v" ge "$2"
}
system_offered() {
    have apt-cache && have dpkg && apt_offers libssl-dev "$openssl_min" && apt_offers libngtcp2-dev "$ngtcp2_min" &&
        apt_offers libngtcp2-crypto-ossl-dev "$ngtcp2_min" && apt_offers libuv1-dev "$libuv_min" &&
        apt_offers libblake3-dev "$blake3_min"
}
explain_lack() { # one clear sentence per library that the system lacks
    for row in "OpenSSL libssl $openssl_min" "ngtcp2 libngtcp2 $ngtcp2_min" \
        "ngtcp2's-OpenSSL-helper libngtcp2_crypto_ossl $ngtcp2_min" "libuv libuv $libuv_min" \
        "BLAKE3 libblake3 $blake3_min"; do
        # shellcheck disable=SC2086
        set -- $row
        pc_ok "$2" "$3" && continue
        v=$(pkg-config --modversion "$2" 2>/dev/null) || v=
        if [ -n "$v" ]; then
            say "the system's $1 is $v, at least $3 is needed"
        else
            say "the system has no development package of $1 ($3 or newer)"
        fi
    done
}

choose_mode() {
    if [ "$mode" != private ]; then
        if system_complete; then
            mode=system
            return
        fi
        if system_offered; then
            say "will install by apt: libssl-dev libngtcp2-dev libngtcp2-crypto-ossl-dev libuv1-dev libblake3-dev"
            apt_install_fresh libssl-dev libngtcp2-dev libngtcp2-crypto-ossl-dev libuv1-dev libblake3-dev
            system_complete && mode=system && return
        fi
        explain_lack
        [ "$mode" = auto ] || die "the system way is not possible here; use --mode=private"
    fi
    mode=private
}

# ---------------------------------------------------------------- 3. the private way

tmp=
cleanup() { [ -z "$tmp" ] || rm -rf "$tmp"; }

find_mirror() { # label of the archive, ending of the suite's name -> base address, from the system's apt configuration
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(RELEASE)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -F'|' -v label="$1" -v security="$2" '
            function plain(s) { return s !~ /^\$\(/ && s != "" }
            plain($1) && $1 != "Debian" { next }
            plain($2) && $2 == label    { print $4; exit }
            !plain($2) && ($3 ~ /-security$/) == (security == "yes") { print $4; exit }'
}

write_apt_root() { # -> $tmp/apt.conf, an apt that knows nothing of the system but how to reach the network
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r $keyring ] || die "no $keyring: install debian-archive-keyring"
    main=${QUDAG_DEBIAN_MIRROR:-$(find_mirror Debian no)}
    security=${QUDAG_DEBIAN_SECURITY_MIRROR:-$(find_mirror Debian-Security yes)}
    [ -n "$main" ] || die "apt knows no Debian mirror here; name one in QUDAG_DEBIAN_MIRROR"
    mkdir -p "$tmp/etc/preferences.d" "$tmp/state/lists/partial" "$tmp/cache/archives/partial"
    : >"$tmp/status"
    {
        printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$main" "$suite"
        printf 'deb [signed-by=%s] %s %s-updates main\n' "$keyring" "$main" "$suite"
        printf 'deb [signed-by=%s] %s %s-backports main\n' "$keyring" "$main" "$suite"
        if [ -n "$security" ]; then
            printf 'deb [signed-by=%s] %s %s-security main\n' "$keyring" "$security" "$suite"
        else
            say "the system's apt has no security archive; packages come without $suite-security" >&2
        fi
    } >"$tmp/etc/sources.list"
    printf 'Package: *\nPin: release n=%s-backports\nPin-Priority: 1\n\n' "$suite" >"$tmp/etc/preferences"
    printf 'Package: libngtcp2*\nPin: release n=%s-backports\nPin-Priority: 900\n' "$suite" >>"$tmp/etc/preferences"
    apt-config dump | grep '^Acquire::' | grep -v '^Acquire::\(Check-\|AllowInsecure\|AllowWeak\|AllowDowngrade\)' \
        >"$tmp/apt.conf" || true # proxies, timeouts, retries; never what weakens a check
    cat >>"$tmp/apt.conf" <<END
Dir::State "$tmp/state";
Dir::State::status "$tmp/status";
Dir::Cache "$tmp/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$tmp/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "$tmp/etc/preferences";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
APT::Architecture "$(dpkg --print-architecture)";
APT::Architectures { "$(dpkg --print-architecture)"; };
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
END
}

apt_update_private() {
    if APT_CONFIG=$tmp/apt.conf apt-get update -qq --error-on=any >"$tmp/update.log" 2>&1; then
        return 0
    fi
    # A dated mirror serves release files past their Valid-Until.  The signature is checked all the same; what is given
    # up is only the protection against being shown an old state.  So it is done only where the administrator of this
    # machine has switched that check off for the system's own apt, or where asked for.
    if grep -Eq 'is expired|not valid yet|no longer valid' "$tmp/update.log"; then
        eval "$(apt-config shell valid Acquire::Check-Valid-Until)"
        if [ "${valid:-true}" = false ] || [ "${QUDAG_DEPS_ALLOW_EXPIRED:-}" = 1 ]; then
            say "the mirror's release files are past Valid-Until; accepted, as the system's apt does; signatures are checked"
            printf 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n' >>"$tmp/apt.conf"
            APT_CONFIG=$tmp/apt.conf apt-get update -qq --error-on=any >"$tmp/update.log" 2>&1 && return 0
        else
            die "the mirror's release files are expired; update the mirror, or accept them with QUDAG_DEPS_ALLOW_EXPIRED=1"
        fi
    fi
    tail -n 5 "$tmp/update.log" >&2
    die "could not read $suite's package lists (network, mirror or signature; see above)"
}

packages="libssl-dev libngtcp2-dev libngtcp2-crypto-ossl-dev libuv1-dev libzstd-dev zlib1g-dev librust-blake3-dev"

fetch_private() { # -> $tmp/root: the packages' files; $tmp/versions
    write_apt_root
    apt_update_private
    mkdir "$tmp/debs" "$tmp/root"
    # shellcheck disable=SC2086
    (cd "$tmp/debs" && APT_CONFIG=$tmp/apt.conf apt-get download -qq $packages >"$tmp/download.log" 2>&1) || {
        tail -n 5 "$tmp/download.log" >&2
        die "could not download $suite's packages"
    }
    for deb in "$tmp"/debs/*.deb; do
        dpkg-deb -x "$deb" "$tmp/root"
        dpkg-deb -f "$deb" Package Version | paste -s -d ' ' | sed 's/Package: \([^ ]*\) Version: /\1 /' >>"$tmp/versions"
    done
}

build_blake3() { # $1: the C sources, $2: archive to make
    rm -rf "$tmp/b3"
    mkdir "$tmp/b3"
    flags="-O3 -fPIC -fvisibility=hidden -w"
    files="blake3.c blake3_dispatch.c blake3_portable.c"
    case $(uname -m) in
    x86_64)
        files="$files blake3_sse2_x86-64_unix.S blake3_sse41_x86-64_unix.S blake3_avx2_x86-64_unix.S"
        files="$files blake3_avx512_x86-64_unix.S"
        ;;
    aarch64)
        files="$files blake3_neon.c"
        flags="$flags -DBLAKE3_USE_NEON=1"
        ;;
    *) flags="$flags -DBLAKE3_USE_NEON=0" ;;
    esac
    for f in $files; do
        # shellcheck disable=SC2086
        ${CC:-cc} $flags -I"$1" -c "$1/$f" -o "$tmp/b3/$f.o"
    done
    ar rcsD "$2" "$tmp"/b3/*.o
}

glibc() { getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ split($2, v, "."); n = v[1] * 1000 + v[2] } END { print n + 0 }'; }
version_of() { sed -n "s/^$1 \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p" "$tmp/versions"; }
write_pc() { # name, version, description, what it requires, libraries
    cat >"$new/pkgconfig/$1.pc" <<END
prefix=$dir
qudag_private=1
Name: $1
Description: $3 (unpacked by tools/deps.sh)
Version: $2
Requires: $4
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib $5
END
}

assemble_private() { # $tmp/root -> $new: include, lib (archives only), pkgconfig
    new=$tmp/new
    multi=$(gcc -print-multiarch)
    inc=$tmp/root/usr/include
    lib=$tmp/root/usr/lib/$multi
    mkdir -p "$new/include" "$new/lib" "$new/pkgconfig"
    cp -R "$inc/openssl" "$inc/ngtcp2" "$inc/uv.h" "$inc/uv" "$new/include"
    [ ! -d "$inc/$multi/openssl" ] || cp -R "$inc/$multi/openssl" "$new/include"
    for a in ngtcp2_crypto_ossl ngtcp2 ssl crypto uv zstd z; do
        [ -e "$lib/lib$a.a" ] || die "trixie's packages hold no lib$a.a"
        cp "$lib/lib$a.a" "$new/lib"
    done
    b3=$(find "$tmp/root/usr/share/cargo/registry" -maxdepth 2 -type d -path '*/blake3-*/c' | head -n 1)
    [ -n "$b3" ] || die "trixie's librust-blake3-dev holds no C sources"
    cp "$b3/blake3.h" "$new/include"
    build_blake3 "$b3" "$new/lib/libblake3.a"

    compat=
    if [ "$(glibc)" -lt 2038 ]; then
        gcc -O2 -fPIC -c "$top/tools/deps/glibc_compat.c" -o "$tmp/glibc_compat.o"
        ar rcsD "$new/lib/libglibc_compat.a" "$tmp/glibc_compat.o"
        compat=-lglibc_compat
    fi

    ssl=$(version_of libssl-dev)
    quic=$(version_of libngtcp2-dev)
    uv=$(version_of libuv1-dev)
    blake=$(sed -n 's/^#define BLAKE3_VERSION_STRING "\(.*\)"/\1/p' "$b3/blake3.h")
    write_pc libzstd "$(version_of libzstd-dev)" "zstd" "" "-lzstd"
    write_pc zlib "$(version_of zlib1g-dev)" "zlib" "" "-lz"
    write_pc libcrypto "$ssl" "OpenSSL libcrypto" "libzstd zlib" "-lcrypto $compat"
    write_pc libssl "$ssl" "OpenSSL libssl" "libcrypto" "-lssl"
    write_pc libngtcp2 "$quic" "ngtcp2" "" "-lngtcp2"
    write_pc libngtcp2_crypto_ossl "$quic" "ngtcp2's OpenSSL helper" "libngtcp2 libssl" "-lngtcp2_crypto_ossl"
    write_pc libuv "$uv" "libuv" "" "-luv $compat"
    write_pc libblake3 "$blake" "BLAKE3" "" "-lblake3"
}

check_versions() { # in the environment given: a library too old is said in one sentence
    for row in "OpenSSL libssl $openssl_min" "ngtcp2 libngtcp2_crypto_ossl $ngtcp2_min" "libuv libuv $libuv_min" \
        "BLAKE3 libblake3 $blake3_min"; do
        # shellcheck disable=SC2086
        set -- $row
        pc_ok "$2" "$3" || die "$1 is $(pkg-config --modversion "$2" 2>/dev/null || echo missing), at least $3 is needed"
    done
}

make_private() {
    have apt-get || die "the protocol libraries are missing and there is no apt here to fetch them"
    say "will fetch $suite's packages into build/deps (private, nothing on the system changes): $packages"
    fetch_private
    assemble_private
    rm -rf "$dir/include" "$dir/lib" "$dir/pkgconfig"
    mkdir -p "$dir"
    mv "$new/include" "$new/lib" "$new/pkgconfig" "$dir"
    PKG_CONFIG_PATH=$dir/pkgconfig
    export PKG_CONFIG_PATH
    check_versions
}

write_result() {
    paths=
    [ "$mode" != private ] || paths="'$dir/pkgconfig'"
    [ ! -d "$fast_dir" ] || paths="${paths:+$paths, }'$fast_dir/pkgconfig'"
    {
        printf '# Written by tools/deps.sh: a meson native file.\n[binaries]\n'
        printf "python3 = '/usr/bin/python3'\n"
        printf '[built-in options]\n'
        printf 'pkg_config_path = [%s]\n' "$paths"
    } >"$dir/deps.ini"
    {
        printf '%s:' "$mode"
        for m in libssl libngtcp2 libngtcp2_crypto_ossl libuv libblake3 libsodium sqlite3 libcares miniupnpc awslc; do
            printf ' %s %s' "$m" "$(PKG_CONFIG_PATH=$dir/pkgconfig:$fast_dir/pkgconfig \
                pkg-config --modversion "$m" 2>/dev/null || echo -)"
        done
        printf '\n'
    } >"$dir/info"
    stamp_now >"$dir/stamp"
}
stamp_now() { printf 'recipe %s, %s, %s, glibc %s\n' "$recipe" "$dir" "$(uname -m)" "$(glibc)"; }

# ---------------------------------------------------------------- 4. the fast primitives

. "$top/tools/deps/fastcrypto.sh"

# ---------------------------------------------------------------- 5. the course

mkdir -p "$top/build"
if have flock; then # several may build at once
    exec 9>"$top/build/.deps.lock"
    flock 9
fi
install_tools
libraries_done() {
    [ "$refresh" = no ] && [ -e "$dir/stamp" ] && [ "$(stamp_now)" = "$(cat "$dir/stamp")" ] || return 1
    case $mode in
    auto) mode=$(sed 's/:.*//' "$dir/info") ;; # what was found then
    *) case $(cat "$dir/info") in "$mode":*) ;; *) return 1 ;; esac ;;
    esac
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
umask 077
tmp=$(mktemp -d "$top/build/.deps.XXXXXX")
umask 022
before=$(cat "$dir/info" 2>/dev/null || true)
if ! libraries_done; then
    choose_mode
    if [ "$mode" = private ]; then
        make_private
    else
        rm -rf "$dir"
        mkdir -p "$dir"
        check_versions
        # what libcrypto.pc asks for when linking statically, and libssl-dev does not bring
        if ! pkg-config --exists zlib libzstd; then
            say "will install by apt: zlib1g-dev libzstd-dev"
            apt_install_fresh zlib1g-dev libzstd-dev
        fi
    fi
    write_result
fi
fast_stage
[ "$before" = "$(cat "$dir/info")" ] || say "ready, $(cat "$dir/info")"
