# preload.mk: small programs under the preload, on the real kernel.
#   make preload                 all of it
#   make preload PRELOAD=signal  what has "signal" in its name
# X.c is one program, linked with check.c; X.sh is run as it is. Both print `ok NAME` or `FAIL NAME: why`.
PRELOAD_SRC   = $(filter-out tests/preload/check.c,$(wildcard tests/preload/*.c))
PRELOAD_BIN   = $(patsubst tests/preload/%.c,$(BUILD)/preload/%,$(PRELOAD_SRC))
PRELOAD_FLAGS = -std=c11 -D_GNU_SOURCE -O1 -g $(WARN) -pthread -MMD -MP

$(BUILD)/preload/check.o: tests/preload/check.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(PRELOAD_FLAGS) -c -o $@ $<

$(BUILD)/preload/%: tests/preload/%.c $(BUILD)/preload/check.o
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(PRELOAD_FLAGS) -o $@ $< $(BUILD)/preload/check.o

-include $(PRELOAD_BIN:=.d) $(BUILD)/preload/check.d

preload: $(BUILD)/liblastcall.so $(PRELOAD_BIN)
	$(Q)CC='$(CC)' tests/preload/run.sh $(BUILD) $(PRELOAD)

.PHONY: preload
