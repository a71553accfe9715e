# tests.mk: everything below `make test`, and the longer suites.

# ---- unit tests: tests/unit/test_X.c is one cmocka program linked with the whole pure core ----------
CORE_SRC   = $(wildcard shim/core/*.c)
UNIT_SRC   = $(wildcard tests/unit/test_*.c)
UNIT_BIN   = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
UNIT_FLAGS = -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_CORE  = $(patsubst shim/core/%.c,$(BUILD)/unit/core/%.o,$(CORE_SRC))

$(BUILD)/unit/core/%.o: shim/core/%.c
	$(call say,CC,$< (sanitized))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(UNIT_CORE)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(UNIT_FLAGS) -MMD -MP -Ishim -o $@ $< $(UNIT_CORE) -lcmocka

-include $(UNIT_CORE:.o=.d) $(UNIT_BIN:=.d)

unit: $(UNIT_BIN)
	$(Q)for t in $(UNIT_BIN); do $$t || exit 1; done

.PHONY: unit
