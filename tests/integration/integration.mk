# integration.mk: small programs under the preloaded library, on the real kernel.
#   make integration                     all of it
#   make integration INTEGRATION=signal  what has "signal" in its name
#   make soak                            what races, ten times as often, and the other suites' repeats
#   make faults                          every system call of ours fails in every way, under each server (20 minutes)
# X.c is one program, linked with check.c; X.sh is run as it is. Both print `ok NAME` or `FAIL NAME: why`.
# objects/X.c is preloaded behind our library.
INTEGRATION_SRC   = $(filter-out tests/integration/check.c,$(wildcard tests/integration/*.c))
INTEGRATION_BIN   = $(patsubst tests/integration/%.c,$(BUILD)/integration/%,$(INTEGRATION_SRC))
INTEGRATION_FLAGS = -std=c11 -D_GNU_SOURCE -O0 -g $(WARN) -pthread -iquote shim -MMD -MP

$(BUILD)/integration/check.o: tests/integration/check.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(INTEGRATION_FLAGS) -c -o $@ $<

$(BUILD)/integration/%: tests/integration/%.c $(BUILD)/integration/check.o
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(INTEGRATION_FLAGS) -o $@ $< $(BUILD)/integration/check.o

INTEGRATION_SO    = $(patsubst tests/integration/objects/%.c,$(BUILD)/integration/%.so,$(wildcard tests/integration/objects/*.c))

$(BUILD)/integration/%.so: tests/integration/objects/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(INTEGRATION_FLAGS) -fPIC -shared -o $@ $<

-include $(INTEGRATION_SO:.so=.d) $(INTEGRATION_BIN:=.d) $(BUILD)/integration/check.d

INTEGRATION_SERVERS = $(BUILD)/e2e/epoll $(BUILD)/e2e/thread

integration: $(BUILD)/liblastcall.so $(INTEGRATION_BIN) $(INTEGRATION_SO) $(INTEGRATION_SERVERS)
	$(Q)CC='$(CC)' tests/integration/run.sh $(BUILD) $(INTEGRATION)

integration-soak: $(BUILD)/liblastcall.so $(INTEGRATION_BIN) $(INTEGRATION_SO) $(INTEGRATION_SERVERS)
	$(Q)SOAK=1 CC='$(CC)' tests/integration/run.sh $(BUILD) $(INTEGRATION)

soak: integration-soak fuzz

faults: $(BUILD)/liblastcall.so $(BUILD)/integration/faults $(INTEGRATION_SO) $(INTEGRATION_SERVERS)
	$(Q)BUILD='$(abspath $(BUILD))' FAULTS=all $(BUILD)/integration/faults

.PHONY: integration integration-soak faults
