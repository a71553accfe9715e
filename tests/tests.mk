# tests.mk: everything below `make test`, and the longer suites.

# ---- unit tests: tests/unit/test_X.c is one cmocka program linked with the whole pure core, and with those files of
# shim/launcher that it needs --------------------------------------------------------------------------------
CORE_SRC   = $(wildcard shim/core/*.c)
UNIT_SRC   = $(wildcard tests/unit/test_*.c)
UNIT_BIN   = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
UNIT_SANITIZE ?= address,undefined
UNIT_FLAGS = -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -iquote shim -fsanitize=$(UNIT_SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_CORE  = $(patsubst shim/core/%.c,$(BUILD)/unit/core/%.o,$(CORE_SRC))

$(BUILD)/unit/core/%.o: shim/core/%.c
	$(call say,CC,$< (sanitized))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -c -o $@ $<

UNIT_CLI   = $(patsubst shim/%.c,$(BUILD)/unit/%.o,$(filter shim/launcher/% shim/sys/%,$(CLI_SRC)))

$(UNIT_CLI): $(BUILD)/unit/%.o: shim/%.c
	$(call say,CC,$< (sanitized))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/cli.a: $(UNIT_CLI)
	$(Q)rm -f $@
	$(Q)$(AR) qcs $@ $(UNIT_CLI)

$(BUILD)/unit/%: tests/unit/%.c $(UNIT_CORE) $(BUILD)/unit/cli.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -o $@ $< $(UNIT_CORE) $(BUILD)/unit/cli.a -lcmocka $(CLI_LIBS)

-include $(UNIT_CORE:.o=.d) $(UNIT_CLI:.o=.d) $(UNIT_BIN:=.d)

# Each program prints cmocka's own lines; the count is made by `make test`.
unit: $(UNIT_BIN)
	$(Q)bad=0; for t in $(UNIT_BIN); do $(UNIT_RUN) $$t || bad=1; done; exit $$bad

include tests/guard/guard.mk
include tests/lint.mk
-include tests/arm64/arm64.mk tests/explore/explore.mk tests/tsan/tsan.mk tests/foreign/foreign.mk tests/preload/preload.mk tests/e2e/e2e.mk tests/places/places.mk tests/cli/cli.mk tests/fuzz/fuzz.mk tests/bench/bench.mk

# ---- everything, in one count ------------------------------------------------------------------------
# The last line is `N passed, N failed` (and `, N skipped`).
test:
	$(Q)scripts/deps build test
	$(Q)tests/reachable.sh tests/all.sh '$(MAKE)' $(BUILD)

# With clang, and for the other architecture, and without a warning, the object must come out just as well.
both-compilers:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/gcc CC=gcc $(BUILD)/gcc/liblastcall.so
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/clang CC=clang $(BUILD)/clang/liblastcall.so
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc $(BUILD)/aarch64/liblastcall.so

.PHONY: unit test both-compilers
