# guard.mk: the rules that a compiler does not keep. Each guard prints ok or why not.
GUARDS = $(filter-out %/lib.sh %/can_fail.sh,$(wildcard tests/guard/*.sh))
GUARD_TOY ?= tests/guard/can_fail.sh

guard: $(BUILD)/liblastcall.so $(BUILD)/lastcall
	$(Q)bad=0; for g in $(GUARDS) $(GUARD_TOY); do CC='$(CC)' $$g $(BUILD) || bad=1; done; exit $$bad

.PHONY: guard
