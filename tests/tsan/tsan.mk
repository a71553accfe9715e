# tsan.mk: the shim and its hooks under ThreadSanitizer, 64 threads on one connection.
#   make tsan TSAN_ROUNDS=2000
# A seeded race (TSAN_SEED: what sed does to one file) must be found, or the suite proves nothing.
TSAN_ROUNDS ?= 40
TSAN_FLAGS   = -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -fsanitize=thread -fno-omit-frame-pointer -iquote shim -DHOOK_PREFIX='"hook_"' -pthread
TSAN_SRC     = $(filter-out shim/init.c shim/sys/mem.c shim/hook/go% shim/hook/syscall%,$(SHIM_SRC)) tests/tsan/races.c

$(BUILD)/tsan/%.o: %
	$(call say,CC,$< (for TSan))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(TSAN_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tsan/races: $(TSAN_SRC:%=$(BUILD)/tsan/%.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(TSAN_FLAGS) -o $@ $^

# Two threads that follow the same bytes at once.
$(BUILD)/tsan/seeded.c: shim/track/io.c
	$(Q)mkdir -p $(dir $@)
	$(Q)sed 's/if (UNLIKELY(!conn_follow(&c->calls_out)))/if (conn_follow(\&c->calls_out), false)/' $< >$@
	$(Q)! cmp -s $< $@

$(BUILD)/tsan/seeded: $(filter-out $(BUILD)/tsan/shim/track/io.c.o,$(TSAN_SRC:%=$(BUILD)/tsan/%.o)) $(BUILD)/tsan/seeded.c
	$(call say,LINK,$@)
	$(Q)$(CC) $(TSAN_FLAGS) -o $@ $^

-include $(TSAN_SRC:%=$(BUILD)/tsan/%.d)

tsan: $(BUILD)/tsan/races $(BUILD)/tsan/seeded
	$(Q)tests/tsan/run.sh $(BUILD)/tsan $(TSAN_ROUNDS)

.PHONY: tsan
