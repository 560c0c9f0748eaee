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
# The version is that of the tag, or without a tag, it consists of the date
# and hash of the commit.
VERSION := $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || git log -1 --format=v0.0+git%cd.%h --date=format:%Y%m%d 2>/dev/null || echo unknown)
COMMIT := $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
# Kernels for the tests: User Mode Linux, and Debian's stock kernels in QEMU.
KERNELS = 6.1 6.12 7.2 debian-12 debian-13 debian-sid
SCRIPTS = .ci/run .ci/deps .ci/old .ci/release $(wildcard packaging/scripts/*/*) $(addprefix packaging/testdata/,redhat/post redhat/preun redhat/postun rpmlint/cpio) packaging/completion/ipvsadm.bash
UNITS = $(wildcard packaging/systemd/*.service packaging/systemd/*.timer)
LINKS = ipvsadm-save ipvsadm-restore
BIN = bin/ipvsadm
# Separate modules, with dependencies of a benchmark or a test only.
MODULES = internal/test/bench/moby internal/test/schema

# Notes about running directors, for the descriptions of the packages.
define NOTE_debian
If AUTO is true in /etc/default/ipvsadm, the removal of Debian's ipvsadm clears
the table. To keep it, run "systemctl mask --runtime ipvsadm" first, and go on
as install.md in /usr/share/doc/ipvsadm-go says.
endef
NOTE_redhat = The table stays when this package replaces Red Hat's ipvsadm.

# The distribution whose file locations are used: debian or redhat.
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
# LOCALIZE changes links between installed pages, which are all in one
# directory. Links to other files lead to the project's site.
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

# Build one static binary under three names, for this architecture or ARCH.
.PHONY: $(BIN)
$(BIN):
	CGO_ENABLED=0 GOARCH=$(ARCH) $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o $@ ./cmd/ipvsadm
	for l in $(LINKS); do ln -sf ipvsadm $(@D)/$$l; done

# Install the programs that the tests need. Without root, they are downloaded
# to the user's cache on first use, like those of demo, lab and bench.
.PHONY: deps
deps:
	@.ci/deps user-mode-linux qemu-system-x86 kmod iproute2 iptables ipvsadm curl procps netbase shellcheck mandoc zsh fish systemd jq

# Check that Go is installed, and that ipvsadm-go is not.
.PHONY: machine
machine:
	@.ci/deps

# Download the kernel for the tests, unless it is on this machine.
.PHONY: kernel
kernel:
	$(GO) run ./internal/test/guest/run -fetch -kernel '$(KERNEL)' -- true

# Show a NAT cluster with two web servers, in a separate kernel.
.PHONY: demo
demo: machine bin/ipvsadm
	$(MAKE) --no-print-directory --silent install FAMILY=redhat PREFIX=/usr DESTDIR=bin/redhat
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' -units bin/redhat/usr/lib/systemd/system demo

# Count requests that fail during continuous restores, with this program and
# with 1.31.
.PHONY: gap
gap: machine bin/ipvsadm
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' gap

# Run everything at once as a stress test, and fail on lost requests and
# leaks. Requests, restores, saves, lists, other writers and a monitor run for
# SOAK.
SOAK ?= 1h
.PHONY: soak
soak: machine bin/ipvsadm
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' -for '$(SOAK)' soak

# Compare the speed with 1.31, the bare kernel interface and moby/ipvs. The
# regular expression ROWS selects rows.
ROWS ?=
.PHONY: bench
bench: machine bin/ipvsadm
	$(GO) run ./internal/test/bench -fetch -kernel '$(KERNEL)' -rows '$(value ROWS)'

# Measure tables of up to 100,000 servers. It takes 20 minutes. The regular
# expression ROWS selects tables.
.PHONY: scale
scale: machine bin/ipvsadm
	$(GO) run ./internal/test/bench -fetch -kernel '$(KERNEL)' -scale -rows '$(value ROWS)'

# Build the example clusters and count where their packets go. SCENARIO
# selects clusters.
.PHONY: lab
lab: machine bin/ipvsadm
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' clusters $(SCENARIO)

# Run all tests, including those in a real kernel. None is skipped. User Mode
# Linux has one processor, so a short run on a stock kernel with two
# processors follows, unless KERNEL is set.
.PHONY: test
test: deps kernel
	REQUIRE_KERNEL=1 $(GO) test -p 1 -timeout 1h ./...
	$(if $(KERNEL),,$(MAKE) --no-print-directory test-short KERNEL=debian-12)

# Run the tests of the library on a kernel, the scripts, and concurrent
# restores.
.PHONY: test-short
test-short: kernel
	REQUIRE_KERNEL=1 $(GO) test -p 1 -timeout 15m -run 'TestKernel$$|TestScripts$$|TestApplyOnAKernel$$' ./pkg/ipvs ./internal/cli

# Run all tests on every kernel, and show how long each part takes. It
# continues after a failure.
.PHONY: test-release
test-release:
	.ci/release $(KERNELS)

# Test saves by root while another user attacks the file. Each attack runs for
# the time ATTACK.
ATTACK ?= 30s
.PHONY: attack
attack: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_ATTACK=$(ATTACK) $(GO) test -count 1 -v -run 'TestOnAKernel/.*/protected/attack' -timeout 15m ./internal/outfile

# Compare generated command lines with 1.31. The seed SEED determines the
# scripts: CASES of them, beginning with number FIRST.
CASES ?= 2000
SEED ?= 1
FIRST ?= 0
.PHONY: conformance
conformance: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_CASES=$(CASES) IPVSADM_TEST_SEED=$(SEED) IPVSADM_TEST_FIRST=$(FIRST) \
		$(GO) test -v -count 1 -timeout 5h -run TestGenerated ./internal/test/conformance

# Test the packages. Two builds must be identical, and lintian and rpmlint
# find nothing. In a guest, under traffic, the packages replace the
# distributions' own and are removed again.
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

# Check --metrics with Prometheus's promtool, and scrape it from
# node_exporter. Their packages are downloaded, but not installed.
.PHONY: test-metrics
test-metrics: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_METRICS=1 $(GO) test -count 1 -timeout 15m -run TestMetrics ./internal/test/clients

# Run the playbook of packaging/doc/fleet.md with Debian's Ansible on two
# network namespaces. It takes several minutes.
.PHONY: test-fleet
test-fleet: deps kernel
	REQUIRE_KERNEL=1 IPVSADM_TEST_FLEET=1 $(GO) test -count 1 -run TestFleet -timeout 30m ./packaging

# Run the tests that need no kernel with the race detector. It needs a C
# compiler.
.PHONY: race
race:
	$(GO) test -race -short ./...

# Generate files from the code: the manual pages, completions, a table of the
# README and the page of the clusters.
.PHONY: generate
generate:
	$(GO) run ./internal/test/generate
	$(GO) run ./internal/test/lab page

# Update the picture of --watch, in a kernel.
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

# Show the changes to the exported API of pkg/ipvs since the commit BASE.
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

# Install below PREFIX and DESTDIR, with the file locations of FAMILY. An
# existing binary is not rebuilt, since root may have no Go, and existing
# settings are kept. If /sbin is a separate directory, links are installed
# there too, since scripts use them.
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

# Remove the installed files. Set the same variables as for install. Changed
# settings, rules and directories are kept.
.PHONY: uninstall
uninstall:
	for l in ipvsadm $(LINKS); do \
		rm -f $(DESTDIR)$(PREFIX)/sbin/$$l $(share)/man/man8/$$l.8 \
			$(share)/bash-completion/completions/$$l $(share)/fish/vendor_completions.d/$$l.fish && \
		if [ -L $(DESTDIR)/sbin/$$l ] && [ ! -e $(DESTDIR)/sbin/$$l ]; then rm $(DESTDIR)/sbin/$$l; fi || exit 1; done
	rm -f $(share)/$(ZSH_$(FAMILY))/_ipvsadm $(addprefix $(share)/doc/ipvsadm-go/,$(notdir $(DOCS))) $(UNITS:packaging/systemd/%=$(units)/%)
	if cmp -s packaging/systemd/ipvsadm.conf $(config); then rm $(config); fi

# Build the packages for Debian, Red Hat and derivatives in dist. The builds
# are reproducible. A release must have a section in CHANGELOG.md.
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

# Build one package, for FAMILY, FORMAT and ARCH. Its version must not begin
# with a letter or contain a dash.
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

# Remove all build results.
.PHONY: clean
clean:
	rm -rf bin dist
