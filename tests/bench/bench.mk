# bench.mk: what lastcall costs while no signal has come. Figures beside their targets, never a verdict.
#   make bench                                    everything, in about three minutes
#   make bench BENCH='--only nginx --pairs 15'    a part of it (nginx go instructions calls exec)
BENCH_PYTHON ?= /usr/bin/python3
BENCH_FLAGS   = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN)

$(BUILD)/bench/calls: tests/bench/calls.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(BENCH_FLAGS) -o $@ $<

bench: $(BUILD)/liblastcall.so $(BUILD)/bench/calls $(BUILD)/e2e/go-nethttp $(BUILD)/e2e/go-fasthttp
	$(Q)scripts/deps bench
	$(Q)$(BENCH_PYTHON) tests/bench/bench.py --build $(BUILD) $(BENCH)

.PHONY: bench
