# tests.mk: everything below `make test`, and the longer suites.

# ---- unit tests: tests/unit/FOLDER/test_FILE.c is one cmocka program for shim/FOLDER/FILE.c, linked with the whole pure core, and with
# those files of the launcher that it needs ---------------------------------------------------------------
UNIT_SRC   = $(wildcard tests/unit/test_*.c tests/unit/*/test_*.c tests/unit/*/*/test_*.c)
UNIT_BIN   = $(patsubst tests/%.c,$(BUILD)/%,$(UNIT_SRC))
UNIT_SANITIZE ?= address,undefined
# -O0: compiled in half of the time, and the sanitizers see each access.
UNIT_FLAGS = -std=c11 -D_GNU_SOURCE -g -O0 $(WARN) -iquote shim -iquote tests/unit -fsanitize=$(UNIT_SANITIZE) -fno-sanitize-recover=all \
             -fno-omit-frame-pointer
UNIT_OBJ   = $(patsubst shim/%.c,$(BUILD)/unit/shim/%.o,$(CLI_SRC))

$(UNIT_OBJ): $(BUILD)/unit/shim/%.o: shim/%.c
	$(call say,CC,$< (sanitized))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/shim.a: $(UNIT_OBJ)
	$(Q)rm -f $@
	$(Q)$(AR) qcs $@ $(UNIT_OBJ)

$(UNIT_BIN): $(BUILD)/unit/%: tests/unit/%.c $(BUILD)/unit/shim.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -o $@ $< $(BUILD)/unit/shim.a -lcmocka $(CLI_LIBS)

-include $(UNIT_OBJ:.o=.d) $(UNIT_BIN:=.d)

# Each program prints cmocka's own lines; the count is made by `make test`.
unit: $(UNIT_BIN)
	$(Q)bad=0; for t in $(UNIT_BIN); do $(UNIT_RUN) $$t || bad=1; done; exit $$bad

# With all that is tried at random (tests/unit/repeats.h).
unit-soak:
	$(Q)SOAK=1 $(MAKE) --no-print-directory BUILD=$(BUILD) unit

soak: unit-soak

include tests/guard/guard.mk
include tests/lint.mk
-include tests/arm64/arm64.mk tests/explore/explore.mk tests/tsan/tsan.mk tests/foreign/foreign.mk tests/integration/integration.mk tests/e2e/e2e.mk tests/rootfs/rootfs.mk tests/cli/cli.mk tests/fuzz/fuzz.mk tests/bench/bench.mk

# ---- everything, in one count ------------------------------------------------------------------------
# The last line is `N passed, N failed` (and `, N skipped`).
test:
	$(Q)scripts/deps build test
	$(Q)tests/reachable.sh tests/all.sh '$(MAKE)' $(BUILD)

# The library must come out just as well, without a warning, from the compiler that CC is not, and for the other
# architecture; without what only a debugger reads.
OTHER_CC = $(if $(findstring clang,$(shell $(CC) --version)),gcc,clang)
both-compilers: $(BUILD)/liblastcall.so
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/$(OTHER_CC) CC=$(OTHER_CC) CFLAGS=-O2 $(BUILD)/$(OTHER_CC)/liblastcall.so
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc CFLAGS=-O2 $(BUILD)/aarch64/liblastcall.so

.PHONY: unit unit-soak test both-compilers
