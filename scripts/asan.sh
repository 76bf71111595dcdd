#!/bin/bash
# Runs the compiled build under AddressSanitizer and UndefinedBehaviorSanitizer (gcc), over the equivalence tests, which
# have the fuzzers' corpus, and the unit tests of every compiled module, about half an hour on two cores; under valgrind,
# over the corpus only, where gcc has no sanitizers.
#
# ASAN_MODULES  what is built with them: prefixes such as "wire" or "wire.scgi.codec"; the rest is linked as it is (everything)
# ASAN_TOOL     asan or valgrind (whichever is there)
# EQUIVALENCE   how many times as many examples (1)
# Arguments go to pytest instead of the folders above.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_venv test
need gcc gcc
PYTHON=$VENV/bin/python
LIBRARIES="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
if [ -z "${ASAN_TOOL:-}" ]; then
    ASAN_TOOL=asan
    for library in $LIBRARIES; do
        [ -e "$library" ] || ASAN_TOOL=valgrind # gcc only repeats the name of what it does not have
    done
fi

# In a copy: a build with sanitizers loads in no ordinary process.
COPY=$(mktemp -d)
trap 'rm -rf "$COPY"' EXIT
mkdir "$COPY/build"
cp -a setup.py pyproject.toml ssgi_gateway tests fuzz examples deploy "$COPY"
for made in mirror objects; do # what is translated and compiled already need not be again
    [ ! -d "build/$made" ] || cp -a "build/$made" "$COPY/build"
done
cd "$COPY"
# An editable installation must not be what is tested.
export PYTHONPATH=$COPY PYTHONDONTWRITEBYTECODE=1 PYTHONMALLOC=malloc

build() {
    PYTHONMALLOC='' SSGI_GATEWAY_COMPILED=1 logged "$COPY/build.log" "$PYTHON" setup.py build_ext --inplace
}

if [ "$ASAN_TOOL" = valgrind ]; then
    need valgrind valgrind
    build
    # What is not initialized is not looked at: Python itself is full of it.
    for target in scgi fastcgi websocket upgrade response; do
        say "valgrind: fuzz/corpus/$target"
        valgrind --quiet --error-exitcode=9 --undef-value-errors=no --num-callers=30 \
            "$PYTHON" -m fuzz "$target" "fuzz/corpus/$target"/*
    done
    exit
fi

say "building ${ASAN_MODULES:-everything} with sanitizers"
# What has no object file is compiled, and with the flags below.
[ -n "${ASAN_MODULES:-}" ] || rm -rf build/objects
for module in ${ASAN_MODULES:-}; do
    find build -path "build/objects/*/${module//./_}*.o" -delete
done
FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
CFLAGS="$FLAGS ${CFLAGS:-}" LDFLAGS="$FLAGS ${LDFLAGS:-}" build

say "pytest under AddressSanitizer"
# One test is about the memory of the C library's malloc, which is not the sanitizer's; a thousand clients take minutes.
[ $# -gt 0 ] || set -- -n "$(nproc)" tests/equivalence tests/unit/{wire,core,observe,adapters,server} \
    -k "(equivalence or compiled) and not memory_of_large_bodies and not thousand_clients"
# Reports go to files, because pytest holds what is written to it when the process ends. Leaks are Python's to judge.
status=0
LD_PRELOAD="$LIBRARIES" SSGI_CODEC=compiled \
    ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:exitcode=99:log_path=$COPY/report" \
    UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:log_path=$COPY/report" \
    "$PYTHON" -m pytest -q -p no:cacheprovider "$@" || status=$?
for report in "$COPY"/report*; do
    [ -e "$report" ] || continue
    cat "$report" >&2
    status=1
done
exit "$status"
