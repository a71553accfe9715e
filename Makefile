# lastcall: make | make install | make test | make demo | make lint | make bench | make soak | make fuzz
# V=1 shows the commands. CC=clang builds with clang.
CC       ?= cc
BUILD    ?= build
WARN      = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS   ?= -O2 -g
Q         = $(if $(V),,@)
say       = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

# The architecture that CC makes programs for: x86_64, aarch64 (`make arm64`). Each has its assembly, and its facts in shim/sys/arch_*.h.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

all: $(BUILD)/host/needs $(BUILD)/liblastcall.so $(BUILD)/lastcall

# ---- the preloaded object: freestanding, position-independent, exports only hooks ------------------
# Its folders are its layers, lowest first (tests/guard/layers.sh has the rules). Includes are written from shim/.
SHIM_LAYERS = core sys process track signal group compat drain hook go
SHIM_SRC  = $(wildcard shim/*.c $(SHIM_LAYERS:%=shim/%/*.c) $(SHIM_LAYERS:%=shim/%/*_$(ARCH).S))
SHIM_OBJ  = $(patsubst %,$(BUILD)/%.o,$(SHIM_SRC))
SHIM_FLAGS = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -iquote shim -fPIC -ffreestanding -fvisibility=hidden -fno-stack-protector \
             -fasynchronous-unwind-tables -fexceptions -fno-common -fno-plt -U_FORTIFY_SOURCE $(SHIM_FLAGS_$(ARCH))
# Atomics without libgcc; and x28 is g while Go's own signal handlers may come (shim/hook/go_aarch64.S).
SHIM_FLAGS_aarch64 = -mno-outline-atomics -ffixed-x28
SHIM_LINK  = -shared -nostdlib -Wl,-Bsymbolic -Wl,-z,defs -Wl,-z,noexecstack -Wl,-z,now \
             -Wl,--hash-style=both -Wl,--build-id -Wl,-soname,liblastcall.so -Wl,--gc-sections
# Two segments, no .bss, no relro: each more would be a system call of the loader's in every process. (What relro
# protects here points nowhere new: the bound names themselves are written at start.)
SHIM_LINK += -Wl,-e,go_injected -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-T,shim/bss.ld

$(BUILD)/liblastcall.so: $(SHIM_OBJ) shim/bss.ld
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SHIM_LINK) -o $@ $(SHIM_OBJ)

$(BUILD)/shim/%.c.o: shim/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(SHIM_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/shim/%.S.o: shim/%.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(SHIM_FLAGS) -MMD -MP -c -o $@ $<

-include $(SHIM_OBJ:.o=.d)

include shim/launcher/launcher.mk tests/tests.mk

PREFIX ?= /usr
install: $(BUILD)/liblastcall.so $(BUILD)/lastcall
	install -D -m 755 $(BUILD)/liblastcall.so $(DESTDIR)$(PREFIX)/lib/liblastcall.so
	install -D -m 755 $(BUILD)/lastcall $(DESTDIR)$(PREFIX)/bin/lastcall
	install -D -m 755 scripts/entrypoint.sh $(DESTDIR)$(PREFIX)/share/lastcall/entrypoint.sh
	install -D -m 644 scripts/lastcall.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lastcall
	install -D -m 644 shim/man/lastcall.1 $(DESTDIR)$(PREFIX)/share/man/man1/lastcall.1
	install -D -m 644 shim/man/lastcall.7 $(DESTDIR)$(PREFIX)/share/man/man7/lastcall.7

clean:
	rm -rf $(BUILD)

.PHONY: all install clean
.DELETE_ON_ERROR:
