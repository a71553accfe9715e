# cli.mk: the commands of `lastcall`, from outside. Each *_test.py prints `ok NAME` or `FAIL NAME: why`.
#   make cli                 all of them
#   make cli CLI=check       tests/cli/check_test.py
#   make timeline-shots      pictures of drains for a human eye, into build/shots; wants Chromium
#   make rehearsals          lastcall rehearse, every scenario on every server of tests/e2e: several minutes
CLI       ?= *
CLI_TESTS  = $(wildcard tests/cli/$(CLI)_test.py)

# Two at a time.
cli: $(BUILD)/lastcall $(BUILD)/liblastcall.so e2e-build
	$(Q)$(MAKE) --no-print-directory -k -j2 --output-sync=target BUILD=$(BUILD) $(CLI_TESTS:%=run-%)

$(CLI_TESTS:%=run-%): run-%:
	$(Q)$(E2E_PYTHON) $* --build $(BUILD)

timeline-shots: $(BUILD)/lastcall $(BUILD)/liblastcall.so e2e-build
	$(Q)scripts/deps shots
	$(Q)$(E2E_PYTHON) tests/cli/timeline_shots.py $(BUILD)

rehearsals: $(BUILD)/lastcall $(BUILD)/liblastcall.so e2e-build
	$(Q)$(E2E_PYTHON) tests/cli/rehearse_matrix.py --build $(BUILD)

.PHONY: cli $(CLI_TESTS:%=run-%) rehearsals timeline-shots
