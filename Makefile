# make demo | test | check | bench, and a few longer ones. Each installs the Debian packages that it lacks.
CARGO ?= cargo
RUN_TESTS = ucspi-tcp daemontools iproute2 procps shellcheck dbus-daemon rsync tzdata
RUN_BENCH = ucspi-tcp iproute2 procps mosquitto

.PHONY: demo test check bench build suspicion flapping fuzz

## The main job in front of your eyes: a house of sandboxes goes through an evening. Under two minutes after the build.
demo: build
	@tests/install-packages ucspi-tcp iproute2 procps
	@target/debug/demo

## All tests, against the real tools from Debian.
test: build
	@tests/install-packages $(RUN_TESTS)
	$(CARGO) test --workspace --no-fail-fast
	shellcheck hooks/*/*-* f*/service/run f*/service/log/run services/*/service/run services/*/service/log/run tests/install-packages .ci/run
	target/debug/flapping --cycles 6 --clients 12

build:
	$(CARGO) build --workspace --bins

## Form, lints, licences and sources; advisories too where there is a network.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: deny.toml is not checked"; fi

## Figures beside tcpserver with a process per client and beside mosquitto, measured in one run.
bench:
	@tests/install-packages $(RUN_BENCH)
	$(CARGO) build --release --workspace --bins
	target/release/bench

## Ten thousand simulated hours of bad networks: who is declared lost in vain?
suspicion:
	$(CARGO) run --release -p tests --bin suspicion

## A day of ups and downs with a hundred clients: nothing may grow.
flapping:
	$(CARGO) build --release --workspace --bins
	target/release/flapping

## Each fuzz target for a minute; needs cargo-fuzz.
fuzz:
	cd tests && for target in $$(RUSTC_BOOTSTRAP=1 cargo fuzz list); do \
		mkdir -p fuzz/corpus/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=60 || exit 1; done
