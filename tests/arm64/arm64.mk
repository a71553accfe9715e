# arm64.mk: aarch64, on a machine of another architecture. Its packages are unpacked below the build directory, nothing is installed.
#   make arm64         cross-builds everything; guards; the unit tests and small servers under qemu-user (five minutes)
#   make arm64-guest   the scenarios in a machine of qemu-system, with Debian's kernel, nginx and python;
#                      ARM64_E2E='--server epoll -v' goes to run.py as it is
ARM64      = $(BUILD)/arm64
ARM64_ROOT = $(ARM64)/root
ARM64_GCC  = aarch64-linux-gnu-gcc --sysroot=$(abspath $(ARM64_ROOT))
ARM64_RUN  = qemu-aarch64-static -L $(abspath $(ARM64_ROOT))
ARM64_MAKE = nice -n 5 $(MAKE) --no-print-directory BUILD=$(ARM64)/build CC='$(ARM64_GCC)' GO='env GOARCH=arm64 go' AR=aarch64-linux-gnu-ar
ARM64_PACKAGES = libc6-dev libelf-dev zlib1g-dev libjansson-dev libcmocka-dev libasan8 libubsan1
ARM64_GO   = $(foreach s,nethttp fasthttp,go-$(s) go-$(s)-static go-$(s)-stripped) go-nethttp-pie go-stress go-stress-static
# The binutils of this architecture under their plain names, for the guards.
ARM64_TOOLS = $(ARM64)/tools

$(ARM64_ROOT): tests/arm64/root.sh
	$(call say,DEBIAN,$@)
	$(Q)tests/arm64/root.sh $@ $(ARM64_PACKAGES)

$(ARM64_TOOLS):
	$(Q)mkdir -p $@ && for t in nm objdump readelf; do ln -sf "$$(command -v aarch64-linux-gnu-$$t)" $@/$$t; done

arm64-deps:
	$(Q)scripts/deps build arm64

arm64-build: | arm64-deps $(ARM64_ROOT)
	$(Q)$(ARM64_MAKE) all $(addprefix $(ARM64)/build/e2e/,load inject cgi $(E2E_SERVERS) $(ARM64_GO)) \
	    $(INTEGRATION_BIN:$(BUILD)/%=$(ARM64)/build/%)

# Leaks are looked for by ptrace, which qemu-user has not.
arm64: arm64-build $(ARM64_TOOLS)
	$(Q)PATH=$(abspath $(ARM64_TOOLS)):$$PATH $(ARM64_MAKE) GUARD_TOY= guard
	$(Q)$(E2E_PYTHON) tests/arm64/user.py $(ARM64)/build $(ARM64_ROOT)
	$(Q)ASAN_OPTIONS=detect_leaks=0 $(ARM64_MAKE) UNIT_RUN='$(ARM64_RUN)' unit

# Everything may take ARM64_SLOW times longer there: instructions are emulated.
ARM64_GUEST = libelf1 zlib1g libjansson4 nginx-light python3 busybox-static iproute2 bash
ARM64_SLOW ?= 5
ARM64_E2E  ?= --jobs 3 --server epoll,thread,select,poll,signalfd,sigwait,epoll-unix,nginx,nginx-2,python,go-nethttp,go-nethttp-stripped,go-fasthttp-static \
              --scenario inflight,hammer,think,churn,reuse,backlog,idle,big,sendfile,upload,pipeline,stream,half-head,early,second-signal

$(ARM64)/guest: tests/arm64/root.sh
	$(call say,DEBIAN,$@)
	$(Q)tests/arm64/root.sh $@ --kernel $(ARM64_GUEST)

arm64-guest: arm64-build | $(ARM64)/guest
	$(Q)tests/arm64/guest.sh $(ARM64)/build $(ARM64)/guest $(ARM64_SLOW) python3 tests/e2e/run.py --build build $(ARM64_E2E)

.PHONY: arm64 arm64-guest arm64-build arm64-deps
