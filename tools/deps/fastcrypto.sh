# shellcheck shell=sh
# Part of tools/deps.sh: the fast set of primitives (ML-KEM, ML-DSA, X25519 and Ed25519 of AWS-LC), compiled from source.
#
# The source is that of one release, pinned by version and SHA-256, so it does not matter how fresh the index that leads to
# it is.  It comes from the first of these that has it:
#
#   debian  sid's package librust-aws-lc-sys-dev, from the mirror the system's apt uses; its signature is checked too
#   crates  the crate aws-lc-sys, by the cargo that is installed
#
# Only what src/crypto calls is compiled (tools/deps/awslc.c) and linked into one object, whose other names are hidden.
# No tool is needed beyond the compiler and binutils.  Result: build/deps/fast, and pkgconfig/awslc.pc in it.

fast_version=0.42.0 # of aws-lc-sys; holds AWS-LC 5.1.0
fast_deb_version=0.42.0+dfsg-1
fast_deb_sha256=8426338340c4eb16063508411e6190a22f54ab40eb38931cc91a3a282efaa232
fast_crate_sha256=6d9ceb1da931507a12f4fccea479dccd00da1943e1b4ae72d8e502d707361444
fast_dir=$dir/fast
fast_why=

fast_stamp() { # what the result depends on
    printf '%s %s %s %s\n' "$fast_version" "$fast_dir" "$(uname -m)" \
        "$(cat "$top/tools/deps/fastcrypto.sh" "$top/tools/deps/awslc.c" "$top/tools/deps/awslc.names" | cksum)"
}

sha256_is() { [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$2" ]; } # file, wanted

fast_from_debian() { # -> $tmp/fast/src
    have apt-get && have dpkg-deb && [ "$(dpkg --print-architecture)" = amd64 ] || { fast_why="no apt"; return 1; }
    (
        tmp=$tmp/fast/apt
        suite=sid
        mkdir -p "$tmp"
        write_apt_root
        printf 'deb [signed-by=%s] %s sid main\n' "$keyring" "$main" >"$tmp/etc/sources.list"
        : >"$tmp/etc/preferences"
        # The index may be old: what it leads to is pinned by its hash.  Signatures are checked all the same.
        printf 'Acquire::Check-Valid-Until "false";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n' \
            >>"$tmp/apt.conf"
        APT_CONFIG=$tmp/apt.conf
        export APT_CONFIG
        apt-get update -qq --error-on=any >"$tmp/log" 2>&1 || exit 1
        cd "$tmp" && apt-get download -qq "librust-aws-lc-sys-dev=$fast_deb_version" >>"$tmp/log" 2>&1
    ) || { fast_why="sid's package $fast_deb_version is not to be had"; return 1; }
    for deb in "$tmp"/fast/apt/*.deb; do
        sha256_is "$deb" "$fast_deb_sha256" || { fast_why="sid's package has another SHA-256 than expected"; return 1; }
        dpkg-deb -x "$deb" "$tmp/fast/root"
    done
    mv "$tmp/fast/root/usr/share/cargo/registry/aws-lc-sys-$fast_version" "$tmp/fast/src"
}

fast_from_crates() { # -> $tmp/fast/src
    have cargo || { fast_why="$fast_why, and there is no cargo"; return 1; }
    mkdir -p "$tmp/fast/crate"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\n[lib]\npath = "lib.rs"\n[dependencies]\naws-lc-sys = "=%s"\n' \
        "$fast_version" >"$tmp/fast/crate/Cargo.toml"
    : >"$tmp/fast/crate/lib.rs"
    (cd "$tmp/fast/crate" && cargo fetch -q >log 2>&1) || { fast_why="$fast_why, nor is the crate"; return 1; }
    for f in "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"aws-lc-sys-$fast_version.crate"; do
        if [ -e "$f" ] && sha256_is "$f" "$fast_crate_sha256"; then
            tar -xzf "$f" -C "$tmp/fast"
            mv "$tmp/fast/aws-lc-sys-$fast_version" "$tmp/fast/src"
            return 0
        fi
    done
    fast_why="$fast_why, and the crate has another SHA-256 than expected"
    return 1
}

fast_build() { # $tmp/fast/src -> $tmp/fast/new
    src=$tmp/fast/src
    obj=$tmp/fast/obj
    new=$tmp/fast/new
    mkdir -p "$obj" "$new/lib" "$new/include"
    bignum=$src/aws-lc/third_party/s2n-bignum
    flags="-std=c11 -O3 -fPIC -w -pthread -ffunction-sections -fdata-sections -fvisibility=hidden -fstack-protector-strong"
    flags="$flags -D_XOPEN_SOURCE=700 -DNDEBUG -DDISABLE_CPU_JITTER_ENTROPY=1 -DBORINGSSL_IMPLEMENTATION=1"
    flags="$flags -DBORINGSSL_PREFIX=awslc -DS2N_BN_HIDE_SYMBOLS=1 -ffile-prefix-map=$src=."
    flags="$flags -I$src -I$src/generated-include -I$src/aws-lc/include -I$bignum/include"
    flags="$flags -I$bignum/s2n-bignum-imported/include"
    as="-Wa,--noexecstack --include=$src/generated-include/openssl/boringssl_prefix_symbols_asm.h"
    # shellcheck disable=SC2086
    gcc $flags -c "$top/tools/deps/awslc.c" -o "$obj/awslc.o" || { fast_why="AWS-LC does not compile"; return 1; }
    for f in "$src"/aws-lc/crypto/fipsmodule/ml_*/*/native/x86_64/src/*.S \
        "$bignum"/s2n-bignum-imported/x86_att/curve25519/*.S "$bignum"/s2n-bignum-imported/x86_att/mldsa/*.S \
        "$bignum"/s2n-bignum-imported/x86_att/sha3/*.S \
        "$src/aws-lc/generated-src/linux-x86_64/crypto/fipsmodule/sha512-x86_64.S"; do
        # shellcheck disable=SC2086
        gcc $flags $as -c "$f" -o "$obj/$(basename "$f").o" || { fast_why="$f does not compile"; return 1; }
    done
    ar rcsD "$obj/asm.a" "$obj"/*.S.o
    sed 's/^/awslc_/' "$top/tools/deps/awslc.names" >"$obj/names"
    # shellcheck disable=SC2046
    ld -r --gc-sections $(sed 's/^/-u /' "$obj/names") -o "$obj/all.o" "$obj/awslc.o" "$obj/asm.a"
    objcopy --strip-unneeded --keep-global-symbols="$obj/names" "$obj/all.o" "$obj/one.o"
    while read -r name; do
        nm "$obj/one.o" | grep -q " T $name\$" || { fast_why="AWS-LC has no $name"; return 1; }
    done <"$obj/names"
    if nm -u "$obj/one.o" | grep awslc_ >&2; then
        fast_why="it did not compile as a whole"
        return 1
    fi
    ar rcsD "$new/lib/libawslc.a" "$obj/one.o"
    cp -R "$src/aws-lc/include/openssl" "$new/include"
    cp "$src"/generated-include/openssl/*.h "$new/include/openssl"
    cp "$src/aws-lc/crypto/fipsmodule/ml_dsa/ml_dsa.h" "$src/aws-lc/crypto/fipsmodule/ml_kem/ml_kem.h" "$new/include"
    cp "$src/aws-lc/LICENSE" "$new"
    fast_lc=$(sed -n 's/^#define AWSLC_VERSION_NUMBER_STRING "\(.*\)"/\1/p' "$src/aws-lc/include/openssl/base.h")
    mkdir -p "$new/pkgconfig"
    cat >"$new/pkgconfig/awslc.pc" <<END
prefix=$fast_dir
Name: awslc
Description: ML-KEM, ML-DSA, X25519 and Ed25519 of AWS-LC (compiled by tools/deps.sh)
Version: $fast_lc
Cflags: -DBORINGSSL_PREFIX=awslc
Libs: -L\${prefix}/lib -lawslc
END
}

make_fast() { # build/deps/fast, or not: then fast_why tells why
    rm -rf "$fast_dir" "$tmp/fast"
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        fast_why="it is built for x86-64 only"
        return 1
    fi
    mkdir -p "$tmp/fast"
    say "will fetch AWS-LC's source (aws-lc-sys $fast_version, pinned by SHA-256) and compile its ML-KEM, ML-DSA and Curve25519"
    fast_from_debian || fast_from_crates || return 1
    fast_build || return 1
    mkdir -p "$dir"
    mv "$new" "$fast_dir"
}

fast_stage() { # after the rest: does nothing when it is done, or was found impossible before
    if [ "$refresh" = no ] && [ "$fast" = "$(cat "$dir/fast.want" 2>/dev/null)" ] &&
        [ "$(fast_stamp)" = "$(cat "$dir/fast.stamp" 2>/dev/null)" ]; then
        return 0
    fi
    if [ "$fast" = no ]; then
        rm -rf "$fast_dir"
    elif ! make_fast; then
        [ "$fast" = auto ] || die "the fast set of primitives cannot be made: $fast_why"
        say "without AWS-LC ($fast_why): OpenSSL's primitives are used, three times as slow"
    fi
    write_result
    printf '%s\n' "$fast" >"$dir/fast.want"
    fast_stamp >"$dir/fast.stamp"
}
