# e2e.mk: the strict load client, the small servers, and what runs them.
#   make e2e    every server x every scenario, on groups a choice; the racing ones E2E_REPEAT times on nginx, node,
#               epoll, and GROUP_REPEAT times on groups
#   make soak   the racing ones, and SIGKILL at random, SOAK_REPEAT times, and GROUP_SOAK times on nginx-2, nginx-4, gunicorn, forking and each build of Go's servers;
#               a million requests on one connection; and the figures of what is measured, each of SOAK_TAILS runs with nothing beside it
#   make go-versions; make foreign-go    every version of Go that Debian has; Go's own tests under us
#   make demo   nginx without us and with us, side by side
# E2E='--server nginx --scenario hammer -v' goes to run.py as it is.
#   make certify CERTIFY_RESTARTS=1000   restarts under load of all servers, and what the kernel counted
E2E_REPEAT  ?= 2
CERTIFY_RESTARTS ?= 1000
SOAK_REPEAT ?= 200
GROUP_REPEAT ?= 1
GROUP_SOAK  ?= 100
SOAK_TAILS  ?= 20
FIGURES      = tail,tail-alone,tail-idle,tail-group,upstream-story,crowd-idle,crowd-10000,crowd-late,crowd-inflight
E2E_PYTHON  ?= /usr/bin/python3
E2E_FLAGS    = -std=c11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -iquote shim -pthread
E2E_SERVERS  = thread select poll epoll signalfd sigwait
E2E_STATIC   = $(BUILD)/e2e/static-epoll $(BUILD)/e2e/static-thread
E2E_BIN      = $(BUILD)/e2e/load $(BUILD)/e2e/inject $(BUILD)/e2e/cgi $(E2E_SERVERS:%=$(BUILD)/e2e/%) $(E2E_STATIC)
E2E_KEY      = $(BUILD)/e2e/key.pem

E2E_LOAD     = $(patsubst %,shim/launcher/load/%,load address client outcome json response)

$(BUILD)/e2e/load: tests/e2e/load_main.c $(E2E_LOAD:=.c) $(E2E_LOAD:=.h)
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(E2E_FLAGS) -o $@ $(filter %.c,$^) -ljansson

$(BUILD)/e2e/inject: tests/e2e/inject_main.c $(addprefix $(BUILD)/host/shim/,launcher/run/inject.o launcher/run/tracee.o launcher/inspect/elf_file.o core/go_signature.o)
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(E2E_FLAGS) -static -o $@ $^ -lelf -lz

$(BUILD)/e2e/cgi: tests/e2e/servers/cgi.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(E2E_FLAGS) -o $@ $<

$(E2E_SERVERS:%=$(BUILD)/e2e/%): $(BUILD)/e2e/%: tests/e2e/servers/%.c tests/e2e/servers/http.c tests/e2e/servers/http.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)$(CC) $(E2E_FLAGS) -o $@ $(filter %.c,$^)

$(E2E_STATIC): $(BUILD)/e2e/static-%: tests/e2e/servers/%.c tests/e2e/servers/http.c tests/e2e/servers/http.h
	$(call say,MUSL-GCC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)musl-gcc -static $(E2E_FLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/e2e/Server.class: tests/e2e/servers/Server.java
	$(call say,JAVAC,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)if command -v javac >/dev/null; then javac -d $(dir $@) $<; else echo 'e2e: no javac: java is missing' >&2; touch $@; fi

# ---- the servers in Go, each in the builds that people make: with cgo it is dynamic, with libc; then dynamic without
# libc, static, and static without a symbol ----
GO        ?= go
GO_ENV     = GO111MODULE=off GOFLAGS= GOTOOLCHAIN=local GOPATH=/usr/share/gocode GOCACHE=$(abspath $(BUILD))/e2e/go-cache $(GO_CHEAP)
# Its compiler collects no garbage below this: that is four tenths of its time.
GO_CHEAP   = GOGC=off GOMEMLIMIT=1GiB
GO_BUILDS  = go_cgo go_pie go_static go_stripped
go_cgo     = $(BUILD)/e2e/go-$(1): HOW = CGO_ENABLED=1 $(GO) build
go_pie     = $(BUILD)/e2e/go-$(1)-pie: HOW = CGO_ENABLED=0 $(GO) build -buildmode=pie
go_static  = $(BUILD)/e2e/go-$(1)-static: HOW = CGO_ENABLED=0 $(GO) build
go_stripped = $(BUILD)/e2e/go-$(1)-stripped: HOW = CGO_ENABLED=0 $(GO) build -ldflags='-s -w'
GO_PATTERN = tests/e2e/servers/go/pattern/pattern.go
# Programs that share a way of compiling share what is compiled, if they are built one after the other (`|`).
define go_server
$(foreach b,$(GO_BUILDS),$(eval $(call $(b),$(1))))
GO_BIN += $(2:%=$(BUILD)/e2e/go-$(1)%) $(BUILD)/e2e/go-$(1)
$(2:%=$(BUILD)/e2e/go-$(1)%) $(BUILD)/e2e/go-$(1): tests/e2e/servers/go/$(1)/main.go $(GO_PATTERN)
	$$(call say,GO,$$@)
	$$(Q)mkdir -p $$(dir $$@)
	$$(Q)if command -v $(GO) >/dev/null; then $(GO_ENV) $$(HOW) -o $$@ $$<; else echo 'e2e: no go: its servers are missing' >&2; fi
endef
$(eval $(call go_server,nethttp,-pie -static -stripped))
# As a PIE it would be no other kind than net/http's, and everything would be compiled once more.
$(eval $(call go_server,fasthttp,-static -stripped))
$(addprefix $(BUILD)/e2e/go-,nethttp-stripped fasthttp-static stress-static nethttp-linked): | $(BUILD)/e2e/go-nethttp-static
$(BUILD)/e2e/go-fasthttp-static: | $(BUILD)/e2e/go-fasthttp
$(BUILD)/e2e/go-fasthttp-stripped: | $(BUILD)/e2e/go-fasthttp-static
$(BUILD)/e2e/go-nethttp-musl: | $(BUILD)/e2e/go-nethttp-pie
$(BUILD)/e2e/go-stress $(BUILD)/e2e/go-h2c: | $(BUILD)/e2e/go-nethttp

# Linked by gcc, static with glibc: its program headers are others.
GO_LINKED  = $(BUILD)/e2e/go-nethttp-linked
$(GO_LINKED): HOW = CGO_ENABLED=1 $(GO) build -tags netgo,osusergo -ldflags '-linkmode external -extldflags -static'
$(GO_LINKED): tests/e2e/servers/go/nethttp/main.go $(GO_PATTERN)
# Dynamic, and loaded by musl, which runs no constructor in it.
GO_MUSL    = $(BUILD)/e2e/go-nethttp-musl
$(GO_MUSL): HOW = CGO_ENABLED=0 $(GO) build -buildmode=pie -ldflags='-I /lib/ld-musl-x86_64.so.1'
$(GO_MUSL): tests/e2e/servers/go/nethttp/main.go $(GO_PATTERN)

# HTTP/2 by golang.org/x/net; and a process that talks to itself under us; the race detector's build takes long, so it is the soak's.
GO_STRESS  = $(BUILD)/e2e/go-stress $(BUILD)/e2e/go-stress-static
GO_H2C     = $(BUILD)/e2e/go-h2c
GO_CALLS  ?= 400000
$(GO_H2C): HOW = CGO_ENABLED=1 $(GO) build
$(GO_H2C): tests/e2e/servers/go/h2c/main.go
$(BUILD)/e2e/go-stress: HOW = CGO_ENABLED=1 $(GO) build
$(BUILD)/e2e/go-stress-static: HOW = CGO_ENABLED=0 $(GO) build
$(BUILD)/e2e/go-stress-race: HOW = CGO_ENABLED=1 $(GO) build -race
$(GO_STRESS) $(BUILD)/e2e/go-stress-race: tests/e2e/servers/go/stress/main.go
$(GO_LINKED) $(GO_MUSL) $(GO_H2C) $(GO_STRESS) $(BUILD)/e2e/go-stress-race:
	$(call say,GO,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)if command -v $(GO) >/dev/null; then $(GO_ENV) $(HOW) -o $@ $<; else echo 'e2e: no go: its programs are missing' >&2; fi

# A key for tests only, made anew with each build directory.
$(E2E_KEY):
	$(call say,OPENSSL,$@)
	$(Q)mkdir -p $(dir $@)
	$(Q)if command -v openssl >/dev/null; then openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
	    -subj /CN=lastcall -keyout $@ -out $(dir $@)cert.pem 2>/dev/null; else echo 'e2e: no openssl: TLS is missing' >&2; fi

e2e-build: $(E2E_BIN) $(GO_BIN) $(GO_LINKED) $(GO_MUSL) $(GO_H2C) $(GO_STRESS) $(E2E_KEY) $(BUILD)/e2e/Server.class

e2e: $(BUILD)/liblastcall.so $(BUILD)/lastcall e2e-build
	$(Q)$(E2E_PYTHON) tests/e2e/load_test.py $(BUILD)
	$(Q)$(E2E_PYTHON) tests/e2e/not_http.py $(BUILD)
	$(Q)$(E2E_PYTHON) tests/e2e/go_stress.py $(BUILD) --calls $(GO_CALLS) --only one,two,many,static
	$(Q)$(E2E_PYTHON) tests/e2e/run.py --build $(BUILD) --repeat $(E2E_REPEAT) --group-repeat $(GROUP_REPEAT) $(E2E)

soak: $(BUILD)/liblastcall.so e2e-build $(BUILD)/e2e/go-stress-race
	$(Q)$(E2E_PYTHON) tests/e2e/go_stress.py $(BUILD) --calls 10000000
	$(Q)$(E2E_PYTHON) tests/e2e/run.py --build $(BUILD) --racing --repeat $(SOAK_REPEAT) --group-repeat $(GROUP_SOAK) $(E2E)
	$(Q)$(E2E_PYTHON) tests/e2e/run.py --build $(BUILD) --scenario killed-at-random --kills $(SOAK_REPEAT)
	$(Q)$(E2E_PYTHON) tests/e2e/run.py --build $(BUILD) --scenario hostile-pipeline --pipelined 1000000
	$(Q)$(E2E_PYTHON) tests/e2e/run.py --build $(BUILD) --scenario $(FIGURES) --tails $(SOAK_TAILS) --profile

certify: $(BUILD)/liblastcall.so e2e-build
	$(Q)$(E2E_PYTHON) tests/e2e/certify.py --build $(BUILD) --restarts $(CERTIFY_RESTARTS)

# The servers in Go as other versions of it build them, GO_REPEAT times where they race: all that Debian has, or
# GO_VERSIONS='1.22 1.27', or GO_TOOLCHAINS='/opt/go/bin/go ...'
GO_TESTED  = go-nethttp,go-fasthttp,go-nethttp-pie,go-nethttp-stripped,go-fasthttp-stripped,go-nethttp-shutdown,go-fasthttp-shutdown
GO_REPEAT ?= 5
go-build: $(BUILD)/liblastcall.so $(BUILD)/lastcall $(BUILD)/e2e/load $(BUILD)/e2e/inject $(GO_BIN) $(GO_STRESS)

go-versions:
	$(Q)gos='$(GO_TOOLCHAINS)'; [ "$$gos" ] || gos=$$(tests/e2e/go_toolchains.sh $(BUILD)/go $(GO_VERSIONS)) || exit 1; \
	for go in $$gos; do \
	    v=$(BUILD)/$$($$go env GOVERSION) && echo "== $$v" && \
	    $(MAKE) --no-print-directory BUILD=$$v GO=$$go go-build >$(BUILD)/go-versions.log && \
	    $(E2E_PYTHON) tests/e2e/go_stress.py $$v --calls $(GO_CALLS) --only two,many,static && \
	    $(E2E_PYTHON) tests/e2e/run.py --build $$v --server $(GO_TESTED) --repeat $(GO_REPEAT) --group-repeat $(GO_REPEAT) || exit 1; done

# Go's own tests without us and with us: a quarter of an hour.
foreign-go: $(BUILD)/liblastcall.so
	$(Q)$(E2E_PYTHON) tests/e2e/go_foreign.py $(BUILD)

demo:
	$(Q)scripts/deps demo
	$(Q)$(MAKE) --no-print-directory $(BUILD)/liblastcall.so $(BUILD)/lastcall
	$(Q)BUILD=$(BUILD) scripts/demo

.PHONY: go-build go-versions foreign-go e2e-build e2e soak certify demo
