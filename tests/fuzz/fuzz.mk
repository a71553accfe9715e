# fuzz.mk: libFuzzer over the pure core, each for FUZZ_SECONDS; clang only.
FUZZ_SECONDS ?= 30
FUZZ_CC      ?= clang
FUZZ_FLAGS    = -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZ_LIBS_http1 = -lhttp_parser

$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c $(wildcard shim/core/*.[ch] tests/unit/*.h)
	$(call say,FUZZCC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -Ishim -o $@ $< shim/core/http1.c shim/core/rewrite.c $(FUZZ_LIBS_$*)

# New inputs go to the build folder; the corpus in the repository stays small.
fuzz-http1 fuzz-rewrite: fuzz-%: $(BUILD)/fuzz/%
	$(call say,FUZZ,$* for $(FUZZ_SECONDS) s)
	$(Q)mkdir -p $(BUILD)/fuzz/corpus/$*
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -dict=tests/fuzz/http1.dict -print_final_stats=0 \
	    -verbosity=0 -artifact_prefix=$(BUILD)/fuzz/$*- $(BUILD)/fuzz/corpus/$* tests/fuzz/corpus/$*

fuzz: fuzz-http1 fuzz-rewrite

.PHONY: fuzz fuzz-http1 fuzz-rewrite
