# preload.mk: small programs under the preload, on the real kernel.
#   make preload                 all of it
#   make preload PRELOAD=signal  what has "signal" in its name
#   make faults                  every system call of ours fails in every way, under each server (20 minutes)
# X.c is one program, linked with check.c; X.sh is run as it is. Both print `ok NAME` or `FAIL NAME: why`.
# objects/X.c is preloaded behind ours.
PRELOAD_SRC   = $(filter-out tests/preload/check.c,$(wildcard tests/preload/*.c))
PRELOAD_BIN   = $(patsubst tests/preload/%.c,$(BUILD)/preload/%,$(PRELOAD_SRC))
PRELOAD_FLAGS = -std=c11 -D_GNU_SOURCE -O1 -g $(WARN) -iquote shim -pthread -MMD -MP

$(BUILD)/preload/check.o: tests/preload/check.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(PRELOAD_FLAGS) -c -o $@ $<

$(BUILD)/preload/%: tests/preload/%.c $(BUILD)/preload/check.o
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(PRELOAD_FLAGS) -o $@ $< $(BUILD)/preload/check.o

PRELOAD_SO    = $(patsubst tests/preload/objects/%.c,$(BUILD)/preload/%.so,$(wildcard tests/preload/objects/*.c))

$(BUILD)/preload/%.so: tests/preload/objects/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(PRELOAD_FLAGS) -fPIC -shared -o $@ $<

-include $(PRELOAD_SO:.so=.d) $(PRELOAD_BIN:=.d) $(BUILD)/preload/check.d

PRELOAD_SERVERS = $(BUILD)/e2e/epoll $(BUILD)/e2e/thread

preload: $(BUILD)/liblastcall.so $(PRELOAD_BIN) $(PRELOAD_SO) $(PRELOAD_SERVERS)
	$(Q)CC='$(CC)' tests/preload/run.sh $(BUILD) $(PRELOAD)

faults: $(BUILD)/liblastcall.so $(BUILD)/preload/faults $(PRELOAD_SO) $(PRELOAD_SERVERS)
	$(Q)BUILD='$(abspath $(BUILD))' FAULTS=all $(BUILD)/preload/faults

.PHONY: preload faults
