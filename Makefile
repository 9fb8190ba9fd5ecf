# A thin front: meson builds, tools/*.sh do.  Each goal gets what it lacks, saying so first.
#
#   make                   libraries it needs, then the library and the programs in build/out
#   make demo [FILE= MESSAGE= NET=yes NAT=yes]    a network on this machine, and something sent through it; NET: 24 hosts far
#                          from each other, in network namespaces, with the settings of `qudag up`; NAT: two of them behind NATs
#   make test [T=SUITE]    all tests, or one suite: unit, fuzz, system, or a folder (base, core_kad, ...)
#   make check             format, layers, style, exported names
#   make bench [RUNS=5]    benchmarks: a table, and build/bench.json
#   make sim [SEEDS=1 NODES= SCENARIOS=]    the long simulations: reports and plots in build/sim
#   make fuzz [SECONDS=60] [T=TARGET]    every fuzz target, or one
#   make mutants [SAMPLE=40 ONLY=src/swarm]    one-line mutations that the tests must notice; all take half an hour
#   make asan              tests under the address and undefined-behaviour sanitizers
#   make format            apply the format
#   make install DESTDIR=  [PREFIX=/usr/local]
#   make deb [DEB=build/deb]    Debian packages, built in a clean chroot and tried in another; needs root
#   make clean             all of build/ but the libraries fetched; make distclean takes these too
BUILD ?= build/out
SECONDS ?= 60
RUNS ?= 5
PREFIX ?= /usr/local
T ?=
SAMPLE ?=
DEB ?= build/deb
ONLY ?=
FILE ?=
MESSAGE ?=
NET ?=
NAT ?=
export FILE MESSAGE NET NAT

all: deps
	@TARGETS=product tools/build.sh $(BUILD)

deps:
	@tools/deps.sh

test: deps-test
	@tools/build.sh $(if $(T),--configure-only,) $(BUILD)
	@meson test -C $(BUILD) $(if $(T),,--no-rebuild) --print-errorlogs $(addprefix --suite ,$(T))

demo: all
	@if [ -n "$(NAT)" ]; then TARGETS=tests/netlab_natbox tools/build.sh $(BUILD); fi
	@test -e tools/demo.sh || { echo "make demo: tools/demo.sh does not exist yet"; exit 1; }
	@QUDAG_BUILD=$(abspath $(BUILD)) QUDAG_SRC=$(CURDIR) bash tools/demo.sh

bench: deps
	@TARGETS="product benchmarks" tools/build.sh $(BUILD)
	@tools/bench.py --build $(BUILD) --runs $(RUNS)

sim: all
	@tools/sim.sh $(BUILD)

check: deps-check
	@tools/check.sh $(BUILD)

format: deps-check
	@tools/format.sh fix

asan: deps-test
	@tools/build.sh build/asan -Db_sanitize=address,undefined
	@meson test -C build/asan --no-rebuild --print-errorlogs $(addprefix --suite ,$(T))

clang: deps-clang
	@tools/build.sh --cc=clang build/clang -Dwerror=true

fuzz: deps-clang
	@tools/build.sh --cc=clang build/fuzz -Dfuzz=true -Dbench=false
	@tools/fuzz.sh $(SECONDS) $(T)

mutants: deps-test
	@tools/mutants.py $(if $(SAMPLE),--sample $(SAMPLE),) $(if $(ONLY),--only $(ONLY),)

# Where files go is settled when meson configures; it is done again for another prefix.
install: all
	@grep -qF '"name": "prefix", "value": "$(PREFIX)"' $(BUILD)/meson-info/intro-buildoptions.json || { \
	    meson setup --reconfigure $(BUILD) -Dprefix=$(PREFIX) && TARGETS=product tools/build.sh $(BUILD); }
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

deb: deps deps-deb
	@packaging/deb.py --dir $(DEB)

deps-%:
	@tools/deps.sh --tools=$*

clean:
	rm -rf $(filter-out build/deps,$(wildcard build/*))

distclean:
	rm -rf build

.PHONY: all deps deb test demo bench sim check format asan clang fuzz mutants install clean distclean
