# lint.mk: what reads the sources without running them. `make format` writes what clang-format wants.
LINT_FILES = $(shell git ls-files -co --exclude-standard $(1) | while read -r f; do [ -e "$$f" ] && echo "$$f"; done)
LINT_C     = $(call LINT_FILES,'shim/*.[ch]' 'tests/*.[ch]')
LINT_SHELL = $(shell grep -lE '^[#]!/bin/(sh|bash)|^[#] shellcheck shell=' $(call LINT_FILES,scripts tests .ci))

# The analyzer cannot see that an assembly instruction has filled in a struct, so what makes raw system
# calls is checked without its rules on uninitialized memory.
TIDY_CORE  = $(filter shim/core/%.c,$(LINT_C))
TIDY_EDGE  = $(filter-out shim/core/% shim/launcher/%,$(filter shim/%.c,$(LINT_C)))
TIDY_OTHER = $(filter-out shim/core/% $(TIDY_EDGE),$(filter %.c,$(LINT_C)))
RAW_CALLS  = --checks=-clang-analyzer-core.uninitialized*,-clang-analyzer-core.UndefinedBinaryOperatorResult,-clang-analyzer-core.CallAndMessage
# tidy FILES,FLAGS,OPTIONS: findings come on stdout; stderr counts the warnings of system headers.
tidy       = printf '%s\n' $(1) | xargs -P$$(nproc) -n3 sh -c 'clang-tidy --quiet $(3) "$$@" -- -std=c11 -D_GNU_SOURCE -iquote shim $(2) 2>/dev/null' sh

# Not believed: an index or pointer that stays inside although a condition looks redundant; a NULL that
# reaches a function on a path it does not take; the casts that hooks.def makes for every row alike; and
# what the real calls, which are function pointers, have filled in (the compilers watch that).
CPPCHECK   = cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
             --suppress=pointerOutOfBoundsCond --suppress=varFuncNullUB --suppress=ctunullpointer --suppress=CastIntegerToAddressAtReturn \
             --suppress=arrayIndexOutOfBoundsCond:shim/sys/net.c --suppress='uninitvar:shim/hook/*'

lint: lint-format lint-tidy lint-cppcheck lint-shell

lint-format:
	$(call say,LINT,clang-format)
	$(Q)clang-format --style=file --dry-run -Werror $(LINT_C)

format:
	$(call say,FORMAT,shim tests)
	$(Q)clang-format --style=file -i $(LINT_C)

lint-tidy:
	$(call say,LINT,clang-tidy)
	$(Q)$(call tidy,$(TIDY_CORE),-ffreestanding)
	$(Q)$(call tidy,$(TIDY_EDGE),-ffreestanding,$(RAW_CALLS))
	$(Q)$(call tidy,$(TIDY_OTHER))

lint-cppcheck:
	$(call say,LINT,cppcheck)
	$(Q)$(CPPCHECK) -j$$(nproc) -D_GNU_SOURCE -D__x86_64__ -Ishim $(filter %.c,$(LINT_C))

lint-shell:
	$(call say,LINT,shellcheck)
	$(Q)shellcheck -x -P SCRIPTDIR $(LINT_SHELL)

.PHONY: lint format lint-format lint-tidy lint-cppcheck lint-shell
