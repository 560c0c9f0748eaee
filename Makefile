# SPDX-License-Identifier: Apache-2.0

# PREFIX, DESTDIR, FAMILY: directories for install, and debian or redhat
PREFIX ?= /usr
DESTDIR ?=
# KERNEL: kernel of the guests, such as 7.2 or debian-12 (see CONTRIBUTING.md)
KERNEL ?=
# RUN, PKG: run only these tests, as go test -run does, of these packages
RUN ?=
PKG ?= ./...
# FUZZTIME: time for each target of fuzz
FUZZTIME ?= 1m
# FULL=1: repeat tests with an element of chance as often as for a release
FULL ?=
# CASES, SEED, FIRST: generated scripts of TestGenerated, from number FIRST on
CASES ?= 60
SEED ?= 1
FIRST ?= 0
# SCENARIO, TIME: clusters or scenarios for lab; or gap; or soak, for TIME
SCENARIO ?=
TIME ?= 1h
# SCALE=1, ROWS: tables of up to 100,000 servers for bench; only these rows
SCALE ?=
ROWS ?=
# BASE: commit to compare with for api
BASE ?= HEAD
GO ?= go

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
APIDIFF = golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
NFPM = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
PROJECT = https://github.com/ipvsadm-go/ipvsadm
MAINTAINER = ipvsadm-go developers <ipvsadm-go@users.noreply.github.com>
# The version is that of the tag, or without a tag, it consists of the date
# and hash of the commit.
VERSION := $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || git log -1 --format=v0.0+git%cd.%h --date=format:%Y%m%d 2>/dev/null || echo unknown)
COMMIT := $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
# Kernels for the tests: User Mode Linux, and Debian's stock kernels in QEMU.
KERNELS = 6.1 6.12 7.2 debian-11 debian-12 debian-13 debian-sid
SCRIPTS = $(wildcard .ci/*) $(wildcard packaging/scripts/*/*) packaging/systemd/service $(addprefix packaging/testdata/,redhat/post redhat/preun redhat/postun rpmlint/cpio) packaging/completion/ipvsadm.bash
UNITS = $(wildcard packaging/systemd/*.service packaging/systemd/*.timer)
LINKS = ipvsadm-save ipvsadm-restore
BIN = bin/ipvsadm
# Separate modules, whose dependencies only a benchmark needs.
MODULES = internal/test/bench/moby

# Notes for the package descriptions, about running directors.
define NOTE_debian
If AUTO is true in /etc/default/ipvsadm, the removal of Debian's ipvsadm clears
the table. To keep it, run "systemctl mask --runtime ipvsadm" first, and go on
as install.md in /usr/share/doc/ipvsadm-go says.
endef
define NOTE_redhat
The table stays when this package replaces Red Hat's ipvsadm. Edited settings
are kept: IPVS_SAVE_ON_STOP="no", which Red Hat's unit ignores, ends the saving
of the table when the service stops.
endef

# The distribution whose file locations are used: debian or redhat.
FAMILY ?= $(if $(wildcard /etc/redhat-release),redhat,debian)
RULES_debian = /etc/ipvsadm.rules
RULES_redhat = /etc/sysconfig/ipvsadm
CONFIG_debian = /etc/default/ipvsadm
CONFIG_redhat = /etc/sysconfig/ipvsadm-config
# Whether the service saves when it stops.
SAVES_debian = no
SAVES_redhat = yes
ZSH_debian = zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
ZSH_redhat = zsh/site-functions
# LOCALIZE changes links between installed pages, which are all in one
# directory. Links to other files lead to the project's site.
DOCS = README.md CHANGELOG.md $(wildcard packaging/doc/*) $(addprefix packaging/prometheus/ipvs.,rules.yml dashboard.json)
MANUALS = $(foreach page,$(notdir $(wildcard packaging/man/*)),man$(patsubst .%,%,$(suffix $(page)))/$(page))
LOCALIZE = sed -i 's,](packaging/doc/,](,g; s,](\.\./prometheus/,](,g; s,](\(\.\./\)*,](,g; s,](\(\.github/\|LICENSE\),]($(PROJECT)/blob/main/\1,g'

# The program and its tests share one build cache.
export CGO_ENABLED = 0
export GOFLAGS += -trimpath
export KERNEL
export IPVSADM_TEST_FULL = $(FULL)
export IPVSADM_TEST_CASES = $(CASES)
export IPVSADM_TEST_SEED = $(SEED)
export IPVSADM_TEST_FIRST = $(FIRST)

## Build and install

# Build bin/ipvsadm, one static binary under three names.
.PHONY: all
all: $(BIN)

# It is built for ARCH, by default this machine's architecture.

.PHONY: $(BIN)
$(BIN):
	GOARCH=$(ARCH) $(GO) build -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o $@ ./cmd/ipvsadm
	for l in $(LINKS); do ln -sf ipvsadm $(@D)/$$l; done

install uninstall: share = $(DESTDIR)$(PREFIX)/share
install uninstall: units = $(DESTDIR)$(PREFIX)/lib/systemd/system
install uninstall: service = $(DESTDIR)$(PREFIX)/lib/ipvsadm-go/service
install uninstall: config = $(DESTDIR)$(CONFIG_$(FAMILY))

# Install below PREFIX and DESTDIR, with the file locations of FAMILY. An
# existing binary is not rebuilt, since root may have no Go, and existing
# settings are kept. If /sbin is a separate directory, links are installed
# there too, since scripts use them.
.PHONY: install
install: $(if $(wildcard $(BIN)),,$(BIN))
	install -d $(DESTDIR)$(PREFIX)/sbin $(share)/man/man7 $(share)/man/man8 $(share)/bash-completion/completions \
		$(share)/$(ZSH_$(FAMILY)) $(share)/fish/vendor_completions.d $(share)/doc/ipvsadm-go $(units) $(dir $(service) $(config))
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/sbin/ipvsadm
	install -m 644 packaging/man/*.7 $(share)/man/man7
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
	install -m 755 packaging/systemd/service $(service)
	sed -i -e 's:$(RULES_debian):$(RULES_$(FAMILY)):g; s:$(CONFIG_debian):$(CONFIG_$(FAMILY)):g; s:/usr/sbin:$(PREFIX)/sbin:g' \
		-e 's:/usr/lib:$(PREFIX)/lib:g; s:^save_on_stop=.*:save_on_stop=$(SAVES_$(FAMILY)):' $(units)/ipvsadm*.service $(service)
	test -e $(config) || install -m 644 packaging/systemd/ipvsadm.conf $(config)

# Remove the installed files. Set the same variables as for install. Changed
# settings, rules and directories are kept.
.PHONY: uninstall
uninstall:
	for l in ipvsadm $(LINKS); do \
		rm -f $(DESTDIR)$(PREFIX)/sbin/$$l \
			$(share)/bash-completion/completions/$$l $(share)/fish/vendor_completions.d/$$l.fish && \
		if [ -L $(DESTDIR)/sbin/$$l ] && [ ! -e $(DESTDIR)/sbin/$$l ]; then rm $(DESTDIR)/sbin/$$l; fi || exit 1; done
	rm -f $(addprefix $(share)/man/,$(MANUALS))
	rm -f $(share)/$(ZSH_$(FAMILY))/_ipvsadm $(addprefix $(share)/doc/ipvsadm-go/,$(notdir $(DOCS))) $(UNITS:packaging/systemd/%=$(units)/%) $(service)
	if cmp -s packaging/systemd/ipvsadm.conf $(config); then rm $(config); fi

# Build a release in dist: packages for Debian, Red Hat and derivatives, the
# programs alone, and checksums. The builds are reproducible. A release must have
# a section in CHANGELOG.md.
.PHONY: package
package:
	@case '$(VERSION)' in v*[!0-9.]* | unknown) ;; *) \
		grep -q '^## \[$(VERSION:v%=%)\]' CHANGELOG.md || { echo 'CHANGELOG.md has nothing about $(VERSION)' >&2; exit 1; } ;; esac
	rm -rf dist
	for arch in amd64 arm64; do \
		$(MAKE) --no-print-directory dist FAMILY=debian FORMAT=deb ARCH=$$arch && \
		$(MAKE) --no-print-directory dist FAMILY=redhat FORMAT=rpm ARCH=$$arch || exit 1; done
	rm -rf dist/root
	cd dist && sha256sum * >SHA256SUMS
	ls -l dist

# Print the section of CHANGELOG.md about the release VERSION.
.PHONY: notes
notes:
	@awk -v heading='[$(VERSION:v%=%)]' '/^## |^\[/ { found = index($$0, "## " heading) == 1; next } found' CHANGELOG.md

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
	gzip -9n dist/root/usr/share/man/man?/*
	install -m 644 packaging/copyright LICENSE dist/root
	install -m 644 packaging/lintian-overrides dist/root
	{ echo "- semver: $$PACKAGE_VERSION-1"; echo "  date: $$(date -u +%FT%TZ -d @$$SOURCE_DATE_EPOCH)"; \
		echo '  packager: $(MAINTAINER)'; echo '  deb: {urgency: medium, distributions: [unstable]}'; \
		echo '  changes: [note: See /usr/share/doc/ipvsadm-go/CHANGELOG.md.]'; } >dist/root/changelog.yaml
	{ cat packaging/nfpm.yaml; cd dist/root && for file in usr/share/man/man?/* usr/share/doc/ipvsadm-go/*; do \
		echo "      - {src: dist/root/$$file, dst: /$$file, type: doc}"; done; } >dist/root/nfpm.yaml
	find dist/root -exec touch -h -d @$$SOURCE_DATE_EPOCH {} +
	$(GO) run $(NFPM) package -f dist/root/nfpm.yaml -p $(FORMAT) -t dist
	tar --create --owner=0 --group=0 --numeric-owner --directory dist/root/usr/sbin ipvsadm $(LINKS) | \
		gzip -9n >dist/ipvsadm-go_$${PACKAGE_VERSION}_linux_$(ARCH).tar.gz

# Remove all build results.
.PHONY: clean
clean:
	rm -rf bin dist

## Try, in a separate kernel

# Show a NAT cluster with two web servers.
.PHONY: demo
demo: bin/ipvsadm
	@.ci/deps
	$(MAKE) --no-print-directory --silent install FAMILY=redhat PREFIX=/usr DESTDIR=bin/redhat
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' -service bin/redhat/usr/lib/ipvsadm-go/service demo

# Build the example clusters and count packets on each path. SCENARIO=gap
# counts requests that fail during continuous restores, with this program and
# with 1.31. SCENARIO=soak runs everything at once as a stress test, and fails
# on lost requests and leaks.
.PHONY: lab
lab: bin/ipvsadm
	@.ci/deps
	$(GO) run ./internal/test/lab -fetch -kernel '$(KERNEL)' -for '$(TIME)' $(if $(filter gap soak,$(SCENARIO)),,clusters) $(SCENARIO)

# Compare the speed with 1.31, the bare kernel interface and moby/ipvs. SCALE=1
# takes 20 minutes.
.PHONY: bench
bench: bin/ipvsadm
	@.ci/deps
	$(GO) run ./internal/test/bench -fetch -kernel '$(KERNEL)' $(if $(SCALE),-scale) -rows '$(value ROWS)'

## Test

# Run all tests, including those in a real kernel. None is skipped. User Mode
# Linux has one processor, so tests that need two run on a stock kernel
# afterwards, unless KERNEL is set.
.PHONY: test
test: deps
	@REQUIRE_KERNEL=1 $(if $(FULL),$(if $(KERNEL),,IPVSADM_TEST_METRICS=1 IPVSADM_TEST_FLEET=1)) .ci/parts \
		"$(GO) test -timeout 1h $(if $(filter debian-%,$(KERNEL)),-p 1) $(if $(RUN),-v -count 1 -run '$(value RUN)') $(PKG)" \
		$(if $(KERNEL)$(RUN),,"KERNEL=debian-12 $(GO) test -p 1 -timeout 1h -run '$(STOCK)' ./pkg/ipvs ./internal/cli")
STOCK = TestKernel$$|TestApplyOnAKernel/two_at_once|TestAnotherWriterOnAKernel/restores

# Test the packages. Two builds must be identical, and lintian and rpmlint
# must report nothing. In a guest, under traffic, the packages replace the
# distributions' own and are removed again.
.PHONY: test-package
test-package: deps
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

# Run everything on every kernel, and show how long each part takes.
.PHONY: test-release
test-release:
	.ci/release $(KERNELS)

# Run the tests that need no kernel with the race detector. It needs a C
# compiler.
.PHONY: race
race:
	CGO_ENABLED=1 $(GO) test -race -short ./...

# Run each fuzz target for FUZZTIME.
.PHONY: fuzz
fuzz:
	@grep -ro --include='*_test.go' '^func Fuzz\w*' cmd internal packaging pkg | \
		sed 's,^\(.*\)/[^/]*:func \(.*\),$(GO) test -run "^$$" -fuzz "^\2$$" -fuzztime $(FUZZTIME) ./\1,' | tr '\n' '\0' | xargs -0 .ci/parts

# Vet and build for arm64, and run the program in QEMU's user mode emulation.
.PHONY: arm64
arm64:
	@.ci/deps qemu-user
	GOARCH=arm64 $(GO) vet ./...
	$(MAKE) --no-print-directory BIN=bin/arm64/ipvsadm ARCH=arm64
	qemu-aarch64 bin/arm64/ipvsadm -v

# Look for known vulnerabilities in the program's dependencies.
.PHONY: vulnerabilities
vulnerabilities:
	$(GO) run $(GOVULNCHECK) ./...

# Check formatting, vet, staticcheck, modules, shell scripts and workflows.
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
	$(GO) run $(ACTIONLINT)

# Install the programs that the tests need, and download the kernel. Without
# root, all is downloaded to the user's cache.
.PHONY: deps
deps:
	@.ci/deps qemu-system-x86 kmod iproute2 iptables ipvsadm curl procps netbase shellcheck mandoc zsh fish systemd jq
	@for kernel in '$(KERNEL)' $(if $(KERNEL),,debian-12); do \
		$(GO) run ./internal/test/guest/run -fetch -kernel "$$kernel" -- true || exit 1; done

## Maintain

# Generate files from the code: manual pages, completions, the table of
# differences and the page of the clusters.
.PHONY: generate
generate:
	$(GO) run ./internal/test/generate
	$(GO) run ./internal/test/lab page

# Update the picture of --watch, in a kernel.
.PHONY: picture
picture: deps
	REQUIRE_KERNEL=1 IPVSADM_TEST_UPDATE=1 $(GO) test -count 1 -run TestPictureOfWatch ./cmd/ipvsadm

# Show the changes to the exported API of pkg/ipvs since the commit BASE.
.PHONY: api
api:
	@rm -rf bin/api && mkdir -p bin/api/base
	@git archive $(BASE) | tar -x -C bin/api/base
	@cd bin/api/base && $(GO) run $(APIDIFF) -w ../old ./pkg/ipvs
	@$(GO) run $(APIDIFF) -w bin/api/new ./pkg/ipvs
	@$(GO) run $(APIDIFF) bin/api/old bin/api/new
	@rm -rf bin/api

# Show this list.
.PHONY: help
help:
	@awk '/^## / { print "\n" substr($$0, 4) ":"; next } \
		/^# [A-Z, ]+(=1)?(, ROWS)?: / { text = ""; variables = variables "  " substr($$0, 3) "\n"; next } \
		/^#/ { text = text substr($$0, 2); next } \
		/^\.PHONY: [a-z-]+$$/ && text { sub(/\. .*/, ".", text); printf "  %-13s%s\n", $$2, text } \
		!/=/ { text = "" } \
		END { printf "\nVariables:\n%s", variables }' $(firstword $(MAKEFILE_LIST))
