# SPDX-License-Identifier: Apache-2.0

PREFIX ?= /usr
DESTDIR ?=
KERNEL ?=
GO ?= go

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
APIDIFF = golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4
NFPM = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
PROJECT = https://github.com/ipvsadm-go/ipvsadm
MAINTAINER = ipvsadm-go developers <ipvsadm-go@users.noreply.github.com>
# A version comes from the tag; where there is none yet it is made of the
# commit's day and name.
VERSION := $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || git log -1 --format=v0.0+git%cd.%h --date=format:%Y%m%d 2>/dev/null || echo unknown)
COMMIT := $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
# As the guest knows them: User Mode Linux, and Debian's stock kernels in QEMU.
KERNELS = 6.1 6.12 7.2 debian-12 debian-13 debian-sid
SCRIPTS = .ci/run .ci/deps .ci/old .ci/release $(wildcard packaging/scripts/*/*) $(addprefix packaging/testdata/,redhat/post redhat/preun redhat/postun rpmlint/cpio) packaging/completion/ipvsadm.bash
UNITS = $(wildcard packaging/systemd/*.service packaging/systemd/*.timer)
LINKS = ipvsadm-save ipvsadm-restore
BIN = bin/ipvsadm
# Modules of their own, for what only a benchmark or a test depends on.
MODULES = internal/test/bench/moby internal/test/schema

# What the descriptions of the packages say about a running director.
define NOTE_debian
If AUTO is true in /etc/default/ipvsadm, the removal of Debian's ipvsadm clears
the table. To keep it, run "systemctl mask --runtime ipvsadm" first, and go on
as install.md in /usr/share/doc/ipvsadm-go says.
endef
NOTE_redhat = The table stays when this package replaces Red Hat's ipvsadm.

# Where a distribution's ipvsadm has its files: debian or redhat.
FAMILY ?= $(if $(wildcard /etc/redhat-release),redhat,debian)
RULES_debian = /etc/ipvsadm.rules
RULES_redhat = /etc/sysconfig/ipvsadm
CONFIG_debian = /etc/default/ipvsadm
CONFIG_redhat = /etc/sysconfig/ipvsadm-config
# What keeps the service from saving when it stops.
UNSAVED_debian = != yes
UNSAVED_redhat = = no
ZSH_debian = zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
ZSH_redhat = zsh/site-functions
# What is installed lies in one folder, so links lose theirs; what is not leads
# to the project.
DOCS = README.md CHANGELOG.md $(wildcard packaging/doc/*)
LOCALIZE = sed -i 's,](packaging/doc/,](,g; s,](\(\.\./\)*,](,g; s,](\(\.github/\|LICENSE\),]($(PROJECT)/blob/main/\1,g'

export KERNEL

.PHONY: all
all: $(BIN)

# Show this list: the first sentence above each target.
.PHONY: help
help:
	@awk '/^#/ { text = text substr($$0, 2); next } \
		/^\.PHONY: [a-z-]+$$/ && text { sub(/[.:] .*|[.]$$/, "", text); printf "%-14s%s\n", $$2, text } \
		!/=/ { text = "" }' $(firstword $(MAKEFILE_LIST))

# One static binary under three names, for the machine's own kind or ARCH.
.PHONY: $(BIN)
$(BIN):
	CGO_ENABLED=0 GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o $@ ./cmd/ipvsadm
	for l in $(LINKS); do ln -sf ipvsadm $(@D)/$$l; done

# Install what the tests need. Without root it is fetched into the user's cache
# when it is first used, as the programs of demo, lab and bench always are.
.PHONY: deps
deps:
	@.ci/deps user-mode-linux qemu-system-x86 kmod iproute2 iptables ipvsadm curl procps netbase shellcheck mandoc zsh fish systemd jq

# Check that the machine has Go and no ipvsadm of ours.
.PHONY: machine
machine:
	@.ci/deps

# Fetch the kernel of the tests, if it is not on this machine.
.PHONY: kernel
kernel:
	$(GO) run ./internal/test/guest/run -fetch -kernel '$(KERNEL)' -- true

# Show the NAT cluster of two web servers, in a kernel of its own.
.PHONY: demo
demo: machine bin/ipvsadm
	$(MAKE) --no-print-directory --silent install FAMILY=redhat PREFIX=/usr DESTDIR=bin/redhat
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' -units bin/redhat/usr/lib/systemd/system demo

# Count requests that fail while the table is restored without pause, with this
# program and with the original.
.PHONY: gap
gap: machine bin/ipvsadm
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' gap

# Look for what gets lost or leaks under everything at once. Requests, restores,
# saves, lists, other writers and a monitor take the time SOAK.
SOAK ?= 1h
.PHONY: soak
soak: machine bin/ipvsadm
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' -for '$(SOAK)' soak

# Measure commands next to 1.31, to the kernel's bare interface and to moby/ipvs.
# ROWS, a regular expression, picks some.
ROWS ?=
.PHONY: bench
bench: machine bin/ipvsadm
	$(GO) run ./internal/test/bench -fetch -kernel '$(KERNEL)' -rows '$(value ROWS)'

# Measure tables of up to 100,000 servers. It takes 20 minutes. ROWS picks some of
# the tables.
.PHONY: scale
scale: machine bin/ipvsadm
	$(GO) run ./internal/test/bench -fetch -kernel '$(KERNEL)' -scale -rows '$(value ROWS)'

# Build the clusters and count where their packets go. SCENARIO names one, or
# some.
.PHONY: lab
lab: machine bin/ipvsadm
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' clusters $(SCENARIO)

# All tests, those in a real kernel included; none is skipped. The machine's own
# User Mode Linux has one processor, so with it comes a short run on a stock
# kernel, which has two.
.PHONY: test
test: deps kernel
	REQUIRE_KERNEL=1 $(GO) test -p 1 -timeout 1h ./...
	$(if $(KERNEL),,$(MAKE) --no-print-directory test-short KERNEL=debian-12)

# The library's contract with the kernel, the scripts, and two restores at once.
.PHONY: test-short
test-short: kernel
	REQUIRE_KERNEL=1 $(GO) test -p 1 -timeout 15m -run 'TestKernel$$|TestScripts$$|TestApplyOnAKernel$$' ./pkg/ipvs ./internal/cli

# Everything on every kernel, and how long each part took. It goes on after a
# failure.
.PHONY: test-release
test-release:
	.ci/release $(KERNELS)

# Another user against files that root saves, for ATTACK at a time.
ATTACK ?= 30s
.PHONY: attack
attack: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_ATTACK=$(ATTACK) $(GO) test -count 1 -v -run 'TestOnAKernel/.*/protected/attack' -timeout 15m ./internal/outfile

# Compare generated command lines with the original 1.31: CASES scripts of seed
# SEED, from number FIRST on.
CASES ?= 2000
SEED ?= 1
FIRST ?= 0
.PHONY: conformance
conformance: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_CASES=$(CASES) IPVSADM_TEST_SEED=$(SEED) IPVSADM_TEST_FIRST=$(FIRST) \
		$(GO) test -v -count 1 -timeout 5h -run TestGenerated ./internal/test/conformance

# Test the packages: two builds are the same, lintian and rpmlint find nothing,
# and they replace the distributions' own in a guest, under traffic, and are
# removed again.
.PHONY: test-package
test-package: deps kernel
	.ci/deps lintian rpm rpmlint
	$(MAKE) --no-print-directory package
	rm -rf bin/packages && mkdir -p bin/packages && mv dist bin/packages/first
	umask 077 && $(MAKE) --no-print-directory package
	diff -r bin/packages/first dist
	chmod 755 dist # apt reads as another user
	lintian --fail-on error,warning dist/*.deb
	$(GO) run ./internal/test/guest/run -- env PATH=$(CURDIR)/packaging/testdata/rpmlint:/usr/bin:/bin rpmlint --strict --config packaging/rpmlint.toml dist/*.rpm
	.ci/old dist/old
	dpkg-deb -x dist/old/own/ipvsadm_*.deb dist/old/root
	$(GO) run $(NFPM) package -f packaging/testdata/redhat/nfpm.yaml -p rpm -t dist/old
	REQUIRE_KERNEL=1 IPVSADM_TEST_PACKAGES=$(CURDIR)/dist $(GO) test -count 1 -v -run 'Package|Takeover' -timeout 1h ./packaging

# Check --metrics with Prometheus's promtool, and scrape it from node_exporter.
# Their packages are fetched, not installed.
.PHONY: test-metrics
test-metrics: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_METRICS=1 $(GO) test -count 1 -timeout 15m -run TestMetrics ./internal/test/clients

# Run the playbook of packaging/doc/fleet.md with Debian's Ansible against two
# network namespaces. It takes minutes.
.PHONY: test-fleet
test-fleet: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_FLEET=1 $(GO) test -count 1 -run TestFleet -timeout 30m ./packaging

# Run the tests that need no kernel with the race detector. It needs a C
# compiler.
.PHONY: race
race:
	$(GO) test -race -short ./...

# Write what comes from the code: manual pages, completions, a table of the
# README, the page of the clusters.
.PHONY: generate
generate:
	$(GO) run ./internal/test/generate
	$(GO) run ./internal/test/lab page

# Take the picture of --watch anew, in a kernel.
.PHONY: picture
picture: kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_UPDATE=1 $(GO) test -count 1 -run TestPictureOfWatch ./cmd/ipvsadm

# Check formatting, vet, staticcheck, modules and shell scripts.
.PHONY: lint
lint:
	@.ci/deps shellcheck
	@test -z "$$(gofmt -l cmd internal packaging pkg)" || { gofmt -d cmd internal packaging pkg; exit 1; }
	$(GO) vet ./...
	for os in darwin freebsd windows; do GOOS=$$os $(GO) vet ./pkg/ipvs/... || exit 1; done
	$(GO) run $(STATICCHECK) -checks all ./...
	$(GO) mod tidy -diff
	for module in $(MODULES); do \
		(cd $$module && $(GO) vet . && $(GO) run $(STATICCHECK) -checks all . && $(GO) mod tidy -diff) || exit 1; done
	if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	else $(GO) run ./internal/test/guest/run -fetch -- shellcheck $(SCRIPTS); fi

# Show how the exported API of pkg/ipvs differs from that of the commit BASE.
BASE ?= HEAD
.PHONY: api
api:
	@rm -rf bin/api && mkdir -p bin/api/base
	@git archive $(BASE) | tar -x -C bin/api/base
	@cd bin/api/base && $(GO) run $(APIDIFF) -w ../old ./pkg/ipvs
	@$(GO) run $(APIDIFF) -w bin/api/new ./pkg/ipvs
	@$(GO) run $(APIDIFF) bin/api/old bin/api/new
	@rm -rf bin/api

install uninstall: share = $(DESTDIR)$(PREFIX)/share
install uninstall: units = $(DESTDIR)$(PREFIX)/lib/systemd/system
install uninstall: config = $(DESTDIR)$(CONFIG_$(FAMILY))

# Install below PREFIX and DESTDIR, as FAMILY has it: debian or redhat. What is
# built already is not built again, since root may have no Go, and settings that
# are there are left alone. Where /sbin is a folder of its own, scripts look for
# the programs there.
.PHONY: install
install: $(if $(wildcard $(BIN)),,$(BIN))
	install -d $(DESTDIR)$(PREFIX)/sbin $(share)/man/man8 $(share)/bash-completion/completions \
		$(share)/$(ZSH_$(FAMILY)) $(share)/fish/vendor_completions.d $(share)/doc/ipvsadm-go $(units) $(dir $(config))
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/sbin/ipvsadm
	install -m 644 packaging/man/*.8 $(share)/man/man8
	install -m 644 $(DOCS) $(share)/doc/ipvsadm-go
	$(LOCALIZE) $(share)/doc/ipvsadm-go/*.md
	install -m 644 packaging/completion/ipvsadm.bash $(share)/bash-completion/completions/ipvsadm
	install -m 644 packaging/completion/_ipvsadm $(share)/$(ZSH_$(FAMILY))/_ipvsadm
	install -m 644 packaging/completion/ipvsadm.fish $(share)/fish/vendor_completions.d/ipvsadm.fish
	for l in $(LINKS); do \
		ln -sf ipvsadm $(DESTDIR)$(PREFIX)/sbin/$$l && \
		ln -sf ipvsadm $(share)/bash-completion/completions/$$l && \
		ln -sf ipvsadm.fish $(share)/fish/vendor_completions.d/$$l.fish || exit 1; done
	if [ '$(PREFIX)' = /usr ] && [ -d $(DESTDIR)/sbin ]; then for l in ipvsadm $(LINKS); do \
		[ -e $(DESTDIR)/sbin/$$l ] || ln -sf ../usr/sbin/$$l $(DESTDIR)/sbin/$$l || exit 1; done; fi
	install -m 644 $(UNITS) $(units)
	sed -i 's:$(RULES_debian):$(RULES_$(FAMILY)):g; s:$(CONFIG_debian):$(CONFIG_$(FAMILY)):g; s:/usr/sbin:$(PREFIX)/sbin:g; s:$(UNSAVED_debian):$(UNSAVED_$(FAMILY)):' $(units)/ipvsadm*.service
	test -e $(config) || install -m 644 packaging/systemd/ipvsadm.conf $(config)

# Remove what install has put there, given the same variables. Settings that have
# been changed, rules and folders stay.
.PHONY: uninstall
uninstall:
	for l in ipvsadm $(LINKS); do \
		rm -f $(DESTDIR)$(PREFIX)/sbin/$$l $(share)/man/man8/$$l.8 \
			$(share)/bash-completion/completions/$$l $(share)/fish/vendor_completions.d/$$l.fish && \
		if [ -L $(DESTDIR)/sbin/$$l ] && [ ! -e $(DESTDIR)/sbin/$$l ]; then rm $(DESTDIR)/sbin/$$l; fi || exit 1; done
	rm -f $(share)/$(ZSH_$(FAMILY))/_ipvsadm $(addprefix $(share)/doc/ipvsadm-go/,$(notdir $(DOCS))) $(UNITS:packaging/systemd/%=$(units)/%)
	if cmp -s packaging/systemd/ipvsadm.conf $(config); then rm $(config); fi

# Build the packages for Debian, Red Hat and derivatives in dist. The same commit
# gives the same packages. A release needs its section of the changelog.
.PHONY: package
package:
	@case '$(VERSION)' in v*[!0-9.]* | unknown) ;; *) \
		grep -q '^## \[$(VERSION:v%=%)\]' CHANGELOG.md || { echo 'CHANGELOG.md has nothing about $(VERSION)' >&2; exit 1; } ;; esac
	rm -rf dist
	for arch in amd64 arm64; do \
		$(MAKE) --no-print-directory dist FAMILY=debian FORMAT=deb ARCH=$$arch && \
		$(MAKE) --no-print-directory dist FAMILY=redhat FORMAT=rpm ARCH=$$arch || exit 1; done
	rm -rf dist/root
	ls -l dist

# Build one package: FAMILY, FORMAT and ARCH say which. A version cannot begin
# with a letter nor have a dash.
.PHONY: dist
dist: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
dist: export PACKAGE_VERSION = $(shell echo '$(VERSION)' | sed 's/^v//; s/-/+/; s/-/./g')
dist: export PACKAGE_ARCH = $(ARCH)
dist: export PACKAGE_NOTE = $(NOTE_$(FAMILY))
dist:
	rm -rf dist/root
	mkdir -p dist/root
	$(MAKE) --no-print-directory install BIN=dist/root/bin/ipvsadm DESTDIR=dist/root PREFIX=/usr FAMILY=$(FAMILY) ARCH=$(ARCH)
	rm -rf dist/root/bin
	gzip -9n dist/root/usr/share/man/man8/*.8
	install -m 644 packaging/copyright LICENSE dist/root
	install -m 644 packaging/lintian-overrides dist/root
	{ echo "- semver: $$PACKAGE_VERSION-1"; echo "  date: $$(date -u +%FT%TZ -d @$$SOURCE_DATE_EPOCH)"; \
		echo '  packager: $(MAINTAINER)'; echo '  deb: {urgency: medium, distributions: [unstable]}'; \
		echo '  changes: [note: See /usr/share/doc/ipvsadm-go/CHANGELOG.md.]'; } >dist/root/changelog.yaml
	{ cat packaging/nfpm.yaml; cd dist/root && for file in usr/share/man/man8/* usr/share/doc/ipvsadm-go/*; do \
		echo "      - {src: dist/root/$$file, dst: /$$file, type: doc}"; done; } >dist/root/nfpm.yaml
	find dist/root -exec touch -h -d @$$SOURCE_DATE_EPOCH {} +
	$(GO) run $(NFPM) package -f dist/root/nfpm.yaml -p $(FORMAT) -t dist

# Remove what was built.
.PHONY: clean
clean:
	rm -rf bin dist
