# fuzz.mk: libFuzzer over what reads bytes of others, each for FUZZ_SECONDS; clang only.
FUZZ_SECONDS ?= 30
FUZZ_CC      ?= clang
FUZZ_FLAGS    = -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

# For each target tests/fuzz/fuzz_X.c: what it is linked with, and libFuzzer's options.
FUZZ            = http1 rewrite elfscan
FUZZ_HTTP1      = shim/core/http1.c shim/core/rewrite.c
FUZZ_LINE       = -max_len=2048 -dict=tests/fuzz/http1.dict
FUZZ_SRC_http1  = $(FUZZ_HTTP1) -lhttp_parser
FUZZ_OPT_http1  = $(FUZZ_LINE)
FUZZ_SRC_rewrite = $(FUZZ_HTTP1)
FUZZ_OPT_rewrite = $(FUZZ_LINE)
FUZZ_SRC_elfscan = $(patsubst %,shim/cli/%.c,elffile elfneeds elfscan envline follow gobuild hooklist libpath verdict) \
                   shim/core/text.c $(CLI_LIBS)
FUZZ_OPT_elfscan = -max_len=4096

$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c $(wildcard shim/core/*.[ch] shim/cli/*.[ch] tests/unit/*.h)
	$(call say,FUZZCC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -Ishim -o $@ $< $(FUZZ_SRC_$*)

# New inputs go to the build folder; the corpus in the repository stays small.
$(FUZZ:%=fuzz-%): fuzz-%: $(BUILD)/fuzz/%
	$(call say,FUZZ,$* for $(FUZZ_SECONDS) s)
	$(Q)mkdir -p $(BUILD)/fuzz/corpus/$*
	$(Q)$< -max_total_time=$(FUZZ_SECONDS) $(FUZZ_OPT_$*) -print_final_stats=0 -verbosity=0 \
	    -artifact_prefix=$(BUILD)/fuzz/$*- $(BUILD)/fuzz/corpus/$* tests/fuzz/corpus/$*

fuzz: $(FUZZ:%=fuzz-%)

.PHONY: fuzz $(FUZZ:%=fuzz-%)
