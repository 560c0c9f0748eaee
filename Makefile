# SPDX-License-Identifier: Apache-2.0

PREFIX ?= /usr
DESTDIR ?=
KERNEL ?=
GO ?= go

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
SCRIPTS = .ci/run .ci/deps
LINKS = ipvsadm-save ipvsadm-restore

export KERNEL

.PHONY: all
all: bin/ipvsadm

# One static binary under three names.
.PHONY: bin/ipvsadm
bin/ipvsadm:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/ipvsadm
	for l in $(LINKS); do ln -sf ipvsadm bin/$$l; done

# What the kernel of the tests, the demo and the checks need: as root it is
# installed, else it is fetched into the user's cache when it is first used.
.PHONY: deps
deps:
	@.ci/deps

.PHONY: kernel
kernel:
	$(GO) run ./internal/uml/run -fetch -kernel '$(KERNEL)' -- true

# The NAT cluster of two web servers, in a kernel of its own.
.PHONY: demo
demo: deps bin/ipvsadm
	$(GO) run ./internal/lab -fetch -kernel '$(KERNEL)' demo

# All tests, those in a real kernel included; none is skipped.
.PHONY: test
test: deps kernel
	REQUIRE_UML=1 $(GO) test -timeout 15m ./...

# What needs no kernel, with the race detector, which needs a C compiler.
.PHONY: race
race:
	$(GO) test -race -short ./...

# The parts of the README that are written from the code.
.PHONY: readme
readme:
	IPVSADM_TEST_UPDATE=1 $(GO) test -run TestReadmeListsTheDifferences ./cmd/ipvsadm

.PHONY: lint
lint: deps
	@test -z "$$(gofmt -l cmd internal pkg)" || { gofmt -d cmd internal pkg; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff
	if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	else $(GO) run ./internal/uml/run -fetch -- shellcheck $(SCRIPTS); fi

.PHONY: install
install: bin/ipvsadm
	install -d $(DESTDIR)$(PREFIX)/sbin
	install -m 755 bin/ipvsadm $(DESTDIR)$(PREFIX)/sbin/ipvsadm
	for l in $(LINKS); do ln -sf ipvsadm $(DESTDIR)$(PREFIX)/sbin/$$l; done

.PHONY: clean
clean:
	rm -rf bin
