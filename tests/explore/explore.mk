# explore.mk: every order of the events of a drain, on the real pure code; and the proof that it finds bugs.
#   make explore EXPLORE_DEEPER=99   as deep as it goes, where it ends within minutes
EXPLORE_FLAGS = -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -iquote shim -iquote tests/explore
# What a drain needs of core.
EXPLORE_CORE  = conn conn_drain conn_pool conn_spoken drain group_table http1 inode_index opaque proxy_protocol spoken text
EXPLORE_OBJ   = $(patsubst tests/explore/%.c,$(BUILD)/explore/%.c.o,$(wildcard tests/explore/*.c)) \
                $(EXPLORE_CORE:%=$(BUILD)/explore/%.c.o)

$(BUILD)/explore/%.c.o: tests/explore/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(EXPLORE_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/explore/%.c.o: shim/core/%.c
	$(call say,CC,$< (to explore))
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(EXPLORE_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/explore/explore: $(EXPLORE_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(EXPLORE_FLAGS) -o $@ $(EXPLORE_OBJ)

-include $(EXPLORE_OBJ:.o=.d)

explore: $(BUILD)/explore/explore
	$(Q)bad=0; $(BUILD)/explore/explore & real=$$!; CC='$(CC)' tests/explore/bugs.sh $(BUILD) || bad=1; \
	    wait $$real || bad=1; exit $$bad

.PHONY: explore
