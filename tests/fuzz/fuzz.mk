# fuzz.mk: libFuzzer over what reads bytes of others, each for FUZZ_SECONDS; clang only.
#   make fuzz                   a quarter of an hour each, two at a time
#   make fuzz FUZZ_SECONDS=10   as in `make test`
FUZZ_SECONDS ?= 900
FUZZ_CC      ?= clang
FUZZ_FLAGS    = -std=c11 -D_GNU_SOURCE -g -O1 $(WARN) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

# For each target tests/fuzz/fuzz_X.c: what it is linked with, and libFuzzer's options.
FUZZ            = http1 http1_close options drain group_table program
FUZZ_HTTP1      = shim/core/http1.c shim/core/http1_close.c
FUZZ_LINE       = -max_len=2048 -dict=tests/fuzz/http1.dict
FUZZ_SRC_http1  = $(FUZZ_HTTP1) -lhttp_parser
FUZZ_OPT_http1  = $(FUZZ_LINE)
FUZZ_SRC_http1_close = $(FUZZ_HTTP1)
FUZZ_OPT_http1_close = $(FUZZ_LINE)
FUZZ_SRC_options = shim/core/options.c shim/core/text.c
FUZZ_OPT_options = -max_len=1024 -dict=tests/fuzz/options.dict
FUZZ_SRC_drain   = shim/core/drain.c shim/core/options.c shim/core/text.c
FUZZ_OPT_drain   = -max_len=1024
FUZZ_SRC_group_table = shim/core/group_table.c shim/core/text.c
FUZZ_OPT_group_table = -max_len=1024
FUZZ_SRC_program = $(filter-out %/preload_object.c,$(wildcard shim/launcher/inspect/*.c)) \
                   shim/core/text.c shim/core/go_signature.c $(CLI_LIBS)
FUZZ_OPT_program = -max_len=4096

$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c $(wildcard shim/core/*.[ch] shim/launcher/inspect/*.[ch] tests/unit/*.h)
	$(call say,FUZZCC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -Ishim -o $@ $< $(FUZZ_SRC_$*)

$(FUZZ:%=fuzz-%): fuzz-%: $(BUILD)/fuzz/%
	$(Q)tests/fuzz/run.sh $(BUILD) $* $(FUZZ_SECONDS) $(FUZZ_OPT_$*)

# Two at a time.
fuzz:
	$(Q)$(MAKE) --no-print-directory -k -j2 --output-sync=target BUILD=$(BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) $(FUZZ:%=fuzz-%)

.PHONY: fuzz $(FUZZ:%=fuzz-%)
