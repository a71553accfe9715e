# cli.mk: the launcher and inspector, `lastcall`: a static program, so that it can be copied into any image.
CLI_SRC   = $(wildcard shim/cli/*.c) $(wildcard shim/core/*.c) shim/sys/shared.c shim/sys/proc.c shim/sys/fd.c shim/sys/net.c
CLI_OBJ   = $(patsubst %.c,$(BUILD)/host/%.o,$(CLI_SRC))
CLI_FLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -iquote shim -MMD -MP
CLI_LIBS  = -lelf -lz -ljansson -lm

$(BUILD)/host/%.o: %.c
	$(call say,CC,$< (host))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(CLI_FLAGS) -c -o $@ $<

$(BUILD)/lastcall: $(CLI_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -static -o $@ $(CLI_OBJ) $(CLI_LIBS)

-include $(CLI_OBJ:.o=.d)
