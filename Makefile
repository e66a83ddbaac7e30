# cosrel: `make help` says what there is to make. GNU make, gcc or clang; everything is built into $(BUILD).
#
#   make CC=clang BUILD=build/clang     another compiler, in a folder of its own
#   make MARCH=                         portable code (the default on x86-64 is -march=native)
#   make CFLAGS='-O0 -g'                your own optimisation flags

ifeq ($(origin CC),default)
CC := gcc
endif
# The C++ compiler that goes with CC; only the shim to Arm NN is C++.
ifeq ($(origin CXX),default)
CXX := $(patsubst cc,c++,$(patsubst %gcc,%g++,$(patsubst gcc-%,g++-%,$(patsubst %clang,%clang++,$(patsubst clang-%,clang++-%,$(CC))))))
endif
BUILD    ?= build
CFLAGS   ?= -O3 -g
LDFLAGS  ?=
SANITIZE ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
MARCH    ?= $(if $(filter x86_64,$(shell uname -m)),native)
VERSION  := 0.1.0
SOVERSION := 0

# As many jobs as there are processors, unless the caller said otherwise. An inner make shares those of the outer one.
ifeq ($(MAKELEVEL)$(filter -j% --jobs%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

# Optional parts, looked for once. clang needs libomp-dev for OpenMP; without it everything runs on one thread.
ifeq ($(filter help deps clean,$(MAKECMDGOALS)),)
OPENMP := $(shell echo 'int main(void) { return 0; }' | $(CC) -fopenmp -xc - -o /dev/null 2>/dev/null && echo -fopenmp)
XNNPACK := $(shell echo 'int xnn_initialize(const void *); int main(void) { return xnn_initialize(0); }' | \
             $(CC) -xc - -lXNNPACK -lpthreadpool -o /dev/null 2>/dev/null && echo yes)
# Its headers only: the library is loaded by the program, where there is one.
OPENCL := $(shell echo '\#include <CL/cl.h>' | $(CC) -DCL_TARGET_OPENCL_VERSION=120 -xc -E - -o /dev/null 2>/dev/null && echo yes)
ARMNN := $(shell echo 'int main() { return 0; }' | \
           $(CXX) -std=c++17 -include armnn/Version.hpp -xc++ - -larmnn -o /dev/null 2>/dev/null && echo yes)
endif

# -ffp-contract=off: gcc and clang compute the same figures, with and without FMA instructions.
WARN       := -Wall -Wextra -Wpedantic -Werror $(if $(OPENMP),,-Wno-unknown-pragmas)
ALL_CFLAGS  = -std=c11 -D_POSIX_C_SOURCE=200809L $(WARN) $(if $(MARCH),-march=$(MARCH)) -ffp-contract=off -fPIC \
              $(OPENMP) $(if $(XNNPACK),-DCOSREL_XNNPACK) $(if $(OPENCL),-DCOSREL_OPENCL) \
              $(if $(ARMNN),-DCOSREL_ARMNN) $(SANITIZE) -I. -I$(BUILD) $(CFLAGS)
# Programs are linked as C, hence -lstdc++, and without those checks that need more of a C++ run-time than that.
ALL_CXXFLAGS = -std=c++17 $(WARN) $(if $(MARCH),-march=$(MARCH)) -fPIC $(SANITIZE) \
              $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize=vptr$(if $(findstring clang,$(CXX)),$(comma)function)) \
              -I. $(CFLAGS)
# GSL uses OpenBLAS for its matrix products: gslcblas is many times slower.
LIBS       := -ljansson -lglpk -lgsl -lopenblas -lprotobuf-c $(if $(XNNPACK),-lXNNPACK -lpthreadpool) \
              $(if $(ARMNN),-larmnn -lstdc++) -lpthread -ldl -lm
LINK        = $(CC) $(OPENMP) $(SANITIZE) $(CFLAGS) $(LDFLAGS)

# Every .c file is found by its place. Files cmd_*.c are commands: they belong to the program, not to the library.
SOURCES  := $(wildcard sched/*.c sched/policies/*.c agent/*.c backends/*.c backends/*/*.c traces/*.c)
# Parts whose library is not here are left out.
SOURCES  := $(filter-out $(if $(XNNPACK),,backends/xnnpack/%) $(if $(OPENCL),,backends/opencl/%) \
              $(if $(ARMNN),,backends/armnn/%),$(SOURCES))
LIB_SRC  := $(filter-out $(foreach f,$(SOURCES),$(if $(filter cmd_%,$(notdir $(f))),$(f))),$(SOURCES))
CMD_SRC  := $(filter-out $(LIB_SRC),$(SOURCES)) $(wildcard experiments/cmd_*.c) experiments/main.c
TOOL_SRC := $(wildcard traces/tools/*.c)
PART_SRC := $(wildcard traces/tools/parts/*.c) # what the tools share
AID_SRC  := $(filter-out $(CMD_SRC),$(wildcard experiments/*.c)) # what commands share: options, progress, statistics
TEST_SRC := $(filter-out $(if $(OPENCL),,tests/test_opencl%),$(wildcard tests/test_*.c))
BENCH_SRC := $(filter-out $(if $(OPENCL),,tests/bench_opencl.c),$(wildcard tests/bench_*.c))
FUZZ_SRC := $(wildcard tests/fuzz_*.c)
HEADERS  := $(wildcard sched/*.h agent/*.h backends/*.h backends/*/*.h traces/*.h)

comma := ,
# C code that protoc-c makes of the ONNX project's own definition of its files.
ONNX_PROTO ?= /usr/include/onnx/onnx.proto
ONNX_PB := $(BUILD)/backends/onnx/onnx.pb-c
# The kernels of the OpenCL backend become part of the program.
CL_SRC := $(wildcard backends/opencl/kernels/*.cl)
CL_KERNELS := $(BUILD)/backends/opencl/kernels
CXX_SRC := $(if $(ARMNN),$(wildcard backends/armnn/*.cpp))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o) $(ONNX_PB).o $(if $(OPENCL),$(CL_KERNELS).o) $(CXX_SRC:%.cpp=$(BUILD)/%.o)
CMD_OBJ := $(CMD_SRC:%.c=$(BUILD)/%.o)
AID_OBJ := $(AID_SRC:%.c=$(BUILD)/%.o)
STATIC  := $(BUILD)/libcosrel.a
SHARED  := $(BUILD)/libcosrel.so.$(VERSION)
AIDS    := $(BUILD)/libcommands.a
PARTS   := $(PART_SRC:%.c=$(BUILD)/%.o)
TESTS   := $(TEST_SRC:%.c=$(BUILD)/%)
BENCHES := $(BENCH_SRC:%.c=$(BUILD)/%)
FUZZERS := $(FUZZ_SRC:%.c=$(BUILD)/%)
# Stands for a vendor's library: it is loaded by a test, which looks for it beside itself.
DOUBLE_SRC := $(if $(OPENCL),tests/opencl_double.c)
DOUBLE  := $(DOUBLE_SRC:%.c=$(BUILD)/%.so)
TOOLS   := $(TOOL_SRC:%.c=$(BUILD)/%)

all: $(STATIC) $(SHARED) $(BUILD)/cosrel $(TOOLS)
	@echo "built $(BUILD)/cosrel ($(CC), $(if $(OPENMP),with,without) OpenMP, $(if $(XNNPACK),with,without) XNNPACK, $(if $(OPENCL),with,without) OpenCL, $(if $(ARMNN),with,without) Arm NN$(if $(MARCH),$(comma) -march=$(MARCH)))"

help:
	@echo 'make            the library and build/cosrel'
	@echo 'make deps       installs the Debian packages that are missing'
	@echo 'make demo       trains a policy, compares it with every other one, writes build/demo/'
	@echo 'make policy     trains agent/cosrel.safetensors, the shipped policy, again'
	@echo 'make proof      the shipped policy on the test split: tables and JSON in build/proof/ (QUICK=1 for a taste)'
	@echo 'make proof-seeds  how far trainings with other seeds end apart'
	@echo 'make fidelity   every policy on this machine, and how well simulation predicts that (QUICK=1 for a taste)'
	@echo 'make test       every test (make test ONLY='engine state' for some)'
	@echo 'make profiles   the bundled device profiles, anew from traces/figures'
	@echo 'make bench      one JSON line per figure (make bench ONLY=sim for some)'
	@echo 'make asan       the tests under AddressSanitizer; likewise ubsan and, with clang, tsan'
	@echo 'make cov        the tests with line coverage per file'
	@echo 'make lint       clang-format, clang-tidy and cppcheck; make format mends what the first finds'
	@echo 'make fuzz       the fuzz targets for FUZZ_SECONDS (20) or on FUZZ_RUNS inputs each; needs clang'
	@echo 'make install    program, library, headers and cosrel.pc under PREFIX (/usr/local), in DESTDIR'
	@echo 'make clean      removes build/'
	@echo 'Variables: CC CXX CFLAGS MARCH BUILD PREFIX DESTDIR; see the top of the Makefile.'

# ---- compiling -------------------------------------------------------------------------------------------------------

# Holds the flags of the last build; changes only when they do, and then everything is compiled anew.
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(CXX) $(ALL_CXXFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(CXX) $(ALL_CXXFLAGS)' > $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -MMD -MP -c $< -o $@

$(ONNX_PB).c $(ONNX_PB).h &: $(ONNX_PROTO)
	@mkdir -p $(@D)
	protoc-c --proto_path=$(dir $<) --c_out=$(@D) $(notdir $<)
# Roots in vectors: without this, gcc calls sqrtf for the sake of errno.
$(BUILD)/backends/xnnpack/rules_math.o: private ALL_CFLAGS += -fno-math-errno

$(ONNX_PB).o: $(ONNX_PB).c $(BUILD)/flags
	$(CC) $(ALL_CFLAGS) -w -c $< -o $@
$(patsubst %.c,$(BUILD)/%.o,$(wildcard backends/onnx/*.c) tests/test_onnx.c): | $(ONNX_PB).h

# An array of bytes per file (string literals are short in C11), and the table of them.
$(CL_KERNELS).c: $(CL_SRC) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "backends/opencl/program.h"'; \
	  for f in $(CL_SRC); do n=$$(basename $$f .cl); echo "static const char text_$$n[] = {"; \
	    od -An -v -tx1 $$f | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};'; done; \
	  echo 'const cosrel_cl_source cosrel_cl_sources[] = {'; \
	  for f in $(CL_SRC); do n=$$(basename $$f .cl); echo "{\"$$n\", text_$$n, sizeof text_$$n},"; done; \
	  echo '{0}};'; } > $@
$(CL_KERNELS).o: $(CL_KERNELS).c $(BUILD)/flags
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Archives are made anew: an object whose source is gone must not stay.
$(STATIC): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(AIDS): $(AID_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(SHARED): $(LIB_OBJ)
	$(LINK) -shared -Wl,-soname,libcosrel.so.$(SOVERSION) $^ $(LIBS) -o $@
	@ln -sf libcosrel.so.$(VERSION) $(BUILD)/libcosrel.so.$(SOVERSION)
	@ln -sf libcosrel.so.$(SOVERSION) $(BUILD)/libcosrel.so

$(BUILD)/cosrel: $(CMD_OBJ) $(AIDS) $(STATIC)
	$(LINK) $^ $(LIBS) -o $@

$(TOOLS): $(BUILD)/%: $(BUILD)/%.o $(PARTS) $(STATIC)
	$(LINK) $^ $(LIBS) -o $@

$(TESTS) $(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(AIDS) $(STATIC)
	$(LINK) $^ $(if $(filter test_% bench_faults,$(@F)),-lcmocka) $(LIBS) -o $@

$(DOUBLE): $(BUILD)/%.so: $(BUILD)/%.o
	$(LINK) -shared $^ -lpthread -ldl -o $@

$(FUZZERS): $(BUILD)/%: $(BUILD)/%.o $(STATIC)
	$(LINK) -fsanitize=fuzzer $^ $(LIBS) -o $@

-include $(CXX_SRC:%.cpp=$(BUILD)/%.d) $(patsubst %.c,$(BUILD)/%.d,$(LIB_SRC) $(CMD_SRC) $(AID_SRC) $(TOOL_SRC) $(PART_SRC) $(TEST_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(DOUBLE_SRC))

# ---- running ---------------------------------------------------------------------------------------------------------

# As Debian 12 calls them; other releases have other numbers in them, or none of these.
ARMNN_PACKAGES := $(if $(shell grep -s bookworm /etc/os-release),g++ libarmnn-dev libarmnn-cpuref-backend22 \
                  $(if $(filter aarch64,$(shell uname -m)),libarmnn-cpuacc-backend22 libarmnn-gpuacc-backend22))
PACKAGES := gcc libc6-dev libjansson-dev libgsl-dev libglpk-dev libopenblas-dev libcmocka-dev \
            libprotobuf-c-dev protobuf-c-compiler libonnx-dev libonnx-testdata libxnnpack-dev libpthreadpool-dev \
            opencl-headers ocl-icd-libopencl1 pocl-opencl-icd oclgrind $(ARMNN_PACKAGES) $(EXTRA_PACKAGES)

# Asks dpkg only; the network is used when something is missing.
deps:
	@command -v dpkg-query >/dev/null || { echo 'deps: not a Debian system; needed are: $(PACKAGES)'; exit 0; }; \
	missing=$$(for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
	[ -z "$$missing" ] && exit 0; \
	echo "deps: installing" $$missing; \
	as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$as_root apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -q --no-install-recommends $$missing

# deps must end before anything is compiled, hence the second make.
test: deps
	@$(MAKE) --no-print-directory run-tests
run-tests: $(TESTS) $(DOUBLE) $(BUILD)/cosrel $(SHARED) $(TOOLS)
	@COSREL=$(BUILD)/cosrel tests/run $(filter $(if $(ONLY),$(addprefix %/test_,$(ONLY)),%),$(TESTS))

demo: deps
	@$(MAKE) --no-print-directory all
	@COSREL=$(BUILD)/cosrel experiments/demo.sh $(BUILD)/demo

# Trains the shipped policy again, from bundled files: the same bytes at any number of threads. A few minutes.
policy: deps
	@$(MAKE) --no-print-directory all
	$(BUILD)/cosrel train --profile traces/profiles/snapdragon865.json traces/profiles/snapdragon8gen2.json \
	  --workload experiments/workloads/train/*.json --mixes 240 --seed 1 -o agent/cosrel.safetensors

# What the shipped policy is worth (experiments/proof.sh says what is run): a quarter of an hour, QUICK=1 for a taste.
proof: deps
	@$(MAKE) --no-print-directory all
	@COSREL=$(BUILD)/cosrel experiments/proof.sh $(BUILD)/proof
proof-seeds: deps
	@$(MAKE) --no-print-directory all
	@COSREL=$(BUILD)/cosrel experiments/proof.sh $(BUILD)/proof seeds

# 40 minutes on this machine's cores, QUICK=1 a minute (experiments/fidelity.sh says what is run).
fidelity: deps
	@$(MAKE) --no-print-directory all
	@COSREL=$(BUILD)/cosrel experiments/fidelity.sh $(BUILD)/fidelity

bench: $(BENCHES)
	@for b in $(filter $(if $(ONLY),$(addprefix %/bench_,$(ONLY)),%),$(BENCHES)); do $$b || exit 1; done

# Sanitizers: the same tests, compiled anew in a folder of their own. GLPK and OpenBLAS keep memory until the end.
asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE='-fsanitize=address -fno-omit-frame-pointer' \
	  CFLAGS='-O1 -g' run-tests
ubsan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/ubsan CFLAGS='-O1 -g' \
	  SANITIZE='-fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all' run-tests
# clang, because ThreadSanitizer understands its OpenMP run-time (libarcher, part of libomp-dev), but not that of gcc.
tsan:
	@TSAN_OPTIONS=ignore_noninstrumented_modules=1 \
	  $(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CC=clang CFLAGS='-O1 -g' SANITIZE=-fsanitize=thread run-tests
# Counters without locks: with OpenMP gcc would count atomically, and training takes minutes then.
cov:
	@find $(BUILD)/cov -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/cov CC=gcc CFLAGS='-O1 -g' \
	  SANITIZE='--coverage -fprofile-update=single' run-tests
	@find $(BUILD)/cov -name '*.gcda' ! -path '*/tests/*' | sort | xargs gcov -n 2>/dev/null | awk -F"'" ' \
	  /^File/ { file = $$2 } /^Lines executed/ && file ~ /\.c$$/ { split($$0, part, /[:% ]+/); \
	  printf "%6.1f %% of %5d lines  %s\n", part[3], part[5], file; hit += part[3] * part[5]; all += part[5]; file = "" } \
	  END { if (all) printf "%6.1f %% of %5d lines  in all\n", hit / all, all }'
LINT_SRC := $(LIB_SRC) $(CMD_SRC) $(AID_SRC) $(TOOL_SRC) $(PART_SRC) $(TEST_SRC) $(BENCH_SRC) $(FUZZ_SRC) $(DOUBLE_SRC)
lint: lint-format lint-tidy lint-cppcheck
lint-format:
	@clang-format --dry-run -Werror $(LINT_SRC) $(CXX_SRC) $(HEADERS) $(wildcard experiments/*.h tests/*.h traces/tools/parts/*.h)
format:
	clang-format -i $(LINT_SRC) $(CXX_SRC) $(HEADERS) $(wildcard experiments/*.h tests/*.h traces/tools/parts/*.h)
lint-tidy: $(ONNX_PB).h
	@printf '%s\n' $(LINT_SRC) | xargs -P $$(nproc) -n 4 sh -c 'clang-tidy --quiet "$$@" -- -std=c11 \
	  -D_POSIX_C_SOURCE=200809L -DCOSREL_XNNPACK -DCOSREL_OPENCL -DCOSREL_ARMNN -I. -I$(BUILD) -fopenmp 2>/dev/null' lint
# Suppressed: what cppcheck sees only because it does not know that there is at least one candidate (log), that the
# position of a file opened for appending is asked for next, and that an index runs downwards.
lint-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 --inline-suppr -j $$(nproc) \
	  --suppress=missingIncludeSystem --suppress=invalidFunctionArg --suppress=seekOnAppendedFile \
	  --suppress=arrayIndexThenCheck -D_POSIX_C_SOURCE=200809L -I. \
	  $(LIB_SRC) $(CMD_SRC) $(AID_SRC) $(TOOL_SRC) $(PART_SRC)

# What a test compares the committed profiles with: they must be what the program makes.
profiles: $(BUILD)/traces/tools/make_profile
	@$< traces/figures traces/profiles

fuzz:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS='-O1 -g' \
	  SANITIZE='-fsanitize=fuzzer-no-link,address,undefined' run-fuzzers
FUZZ_SECONDS ?= 20
FUZZ_RUNS ?=
run-fuzzers: $(FUZZERS)
	@for f in $(FUZZERS); do mkdir -p $$f.corpus; seeds=tests/corpus/$${f##*/fuzz_}; echo "== $${f##*/}"; \
	  [ -d $$seeds ] || seeds=; \
	  $$f $(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),-max_total_time=$(FUZZ_SECONDS)) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -artifact_prefix=$$f. $$f.corpus \
	    $$seeds && echo "ok      $${f##*/}" || exit 1; done

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/cosrel
	install -m 755 $(BUILD)/cosrel $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(STATIC) $(SHARED) $(DESTDIR)$(PREFIX)/lib
	if [ -f agent/cosrel.safetensors ]; then \
	  install -D -m 644 agent/cosrel.safetensors $(DESTDIR)$(PREFIX)/share/cosrel/cosrel.safetensors; fi
	ln -sf libcosrel.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libcosrel.so.$(SOVERSION)
	ln -sf libcosrel.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libcosrel.so
	for h in $(HEADERS); do install -D -m 644 $$h $(DESTDIR)$(PREFIX)/include/cosrel/$$h || exit 1; done
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: cosrel' \
	  'Description: online scheduler of concurrent DNN models on CPU, GPU and DSP' 'Version: $(VERSION)' \
	  'Cflags: -I$${includedir}/cosrel' 'Libs: -L$${libdir} -lcosrel' \
	  'Libs.private: $(LIBS) $(OPENMP)' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/cosrel.pc

clean:
	rm -rf $(BUILD)

always:
.PHONY: all help deps test run-tests demo policy fidelity proof proof-seeds profiles bench asan ubsan tsan cov lint format lint-format lint-tidy lint-cppcheck fuzz run-fuzzers install clean always
.SECONDARY:
.DELETE_ON_ERROR:
