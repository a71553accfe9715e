# cli.mk: the commands of `lastcall`, from outside. Each *_test.py prints `ok NAME` or `FAIL NAME: why`.
#   make cli                 all of them
#   make cli CLI=check       tests/cli/check_test.py
#   make timeline-shots      pictures of drains for a human eye, into build/shots; wants Chromium
#   make rehearsals          lastcall rehearse, every scenario on every server of tests/e2e: several minutes
CLI       ?= *
CLI_TESTS  = $(wildcard tests/cli/$(CLI)_test.py)

cli: $(BUILD)/lastcall $(BUILD)/liblastcall.so e2e-build
	$(Q)bad=0; for t in $(CLI_TESTS); do $(E2E_PYTHON) $$t --build $(BUILD) || bad=1; done; exit $$bad

timeline-shots: $(BUILD)/lastcall $(BUILD)/liblastcall.so e2e-build
	$(Q)scripts/deps shots
	$(Q)$(E2E_PYTHON) tests/cli/timeline_shots.py $(BUILD)

rehearsals: $(BUILD)/lastcall $(BUILD)/liblastcall.so e2e-build
	$(Q)$(E2E_PYTHON) tests/cli/rehearse_matrix.py --build $(BUILD)

.PHONY: cli rehearsals timeline-shots
