# launcher.mk: the launcher and inspector, `lastcall`: a static program, so that it can be copied into any image.
# Its folders include each other by the rules of tests/guard; includes are written from shim/.
CLI_SRC   = $(wildcard shim/launcher/*.c shim/launcher/*/*.c) $(wildcard shim/core/*.c) \
            $(patsubst %,shim/sys/%.c,memfd proc fd logfile sigmask net)
CLI_OBJ   = $(patsubst %.c,$(BUILD)/host/%.o,$(CLI_SRC))
CLI_FLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -iquote shim -MMD -MP
CLI_LIBS  = -lelf -lz -ljansson -lm

# A library that is not installed is named here, once, before the compiler stumbles over its header.
CLI_NEEDS = libelf.h zlib.h jansson.h
$(BUILD)/host/needs:
	$(Q)mkdir -p $(dir $@)
	$(Q)missing=$$(for header in $(CLI_NEEDS); do echo "#include <$$header>" | $(CC) -E -x c - >/dev/null 2>&1 || echo "$$header"; done); \
	[ -z "$$missing" ] || { echo "lastcall cannot be built without" $$missing: "\`scripts/deps build\` installs what is missing." >&2; exit 1; }
	$(Q)touch $@

$(CLI_OBJ): | $(BUILD)/host/needs

$(BUILD)/host/%.o: %.c
	$(call say,CC,$< (host))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(CLI_FLAGS) -c -o $@ $<

$(BUILD)/lastcall: $(CLI_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -static -o $@ $(CLI_OBJ) $(CLI_LIBS)

-include $(CLI_OBJ:.o=.d)
