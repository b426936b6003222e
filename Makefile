# make demo | demo-camera | test | check | bench, and a few longer ones. Each installs the Debian packages that it lacks.
CARGO ?= cargo
# What camera is linked with; without these nothing of the workspace as a whole can be built.
BUILD = libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
# What it records with, and what looks at the result.
RUN_CAMERA = gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-tools ffmpeg
RUN_TESTS = $(RUN_CAMERA) autofs bindfs daemontools dbus-daemon iproute2 mosquitto mpd nfs-kernel-server openssl procps rsync samba-common-bin shellcheck systemd tzdata ucspi-tcp
RUN_BENCH = $(RUN_CAMERA) awscli iproute2 lsof mosquitto procps pv ucspi-tcp
RUN_HOUSE = qemu-system-x86 debootstrap iproute2 e2fsprogs

.PHONY: demo demo-camera soak test check bench torture house deb build ready suspicion flapping fuzz

## The main job in front of your eyes: a house of sandboxes goes through an evening. Under two minutes after the build.
demo: build
	@tests/install-packages ucspi-tcp iproute2 procps mosquitto mosquitto-clients
	@target/debug/demo

## Two cameras, one of which does everything that such cameras do, and a storage that is away for a while. Two minutes after the build;
## leaves target/demo-camera/index.html and recorded.png.
demo-camera: build
	@tests/install-packages $(RUN_CAMERA)
	@target/debug/demo_camera

## All tests, against the real tools from Debian.
test: build
	@tests/install-packages $(RUN_TESTS)
	$(CARGO) test --workspace --no-fail-fast
	shellcheck hooks/*/*-* tests/install-packages .ci/run tests/packages/stage tests/packages/build tests/packages/rehearse */package/p* services/*/package/p* f*/service/run f*/service/log/run services/*/service/run services/*/service/log/run
	shellcheck tests/src/bench/footage/*.sh tests/house/f* tests/house/*/usr/local/lib/house/*
	target/debug/flapping --cycles 6 --clients 12
	target/debug/torture --points 20
	target/debug/soak --minutes 1

ready:
	@tests/install-packages $(BUILD)

build: ready
	$(CARGO) build --workspace --bins

## Form, lints, licences and sources; advisories too where there is a network.
check: ready
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: deny.toml is not checked"; fi

## Debian packages in target/debian; PROFILE=dev takes the programs that make test has built. LINTIAN=1 installs lintian,
## which judges them wherever it is there. REHEARSE=1 installs, updates and removes them under a systemd in namespaces.
PROFILE ?= release
deb: ready
	$(CARGO) build --profile $(PROFILE) --workspace --bin fserver --bin fclient --bin camera --bin upload --bin completions --bin 'pi*' $(if $(REHEARSE),--bin esp32)
	@LINTIAN=$(LINTIAN) REHEARSE=$(REHEARSE) tests/packages/build $(PROFILE)

## Three whole machines on QEMU, without KVM, go through some evenings with the packages of make deb. As root; a quarter of an
## hour, and some minutes more the first time, when the base system is made. RECORD=1 keeps the run as the record.
house: deb
	@tests/install-packages $(RUN_HOUSE)
	$(CARGO) build -p tests --bin house
	target/debug/house $(if $(RECORD),--record tests/house/RECORD.md)

## Figures beside tcpserver with a process per client, beside mosquitto, and beside recording with gst-launch-1.0 and awscli, measured in one run.
bench: ready
	@tests/install-packages $(RUN_BENCH)
	$(CARGO) build --release --workspace --bins
	target/release/bench

## Everybody on the event bus is killed, again and again, its disks fill up and its files are torn: what was acknowledged must be
## heard, once and in order. Six minutes; --seed makes a run again.
torture: build
	@tests/install-packages iproute2 mosquitto procps
	target/debug/torture

## A day with two cameras in ten minutes: every fault of cameras, storages and programs. Nothing may be lost, doubled or torn, and
## nothing may grow. MINUTES makes it longer; --seed of the program makes a run again.
MINUTES ?= 10
soak: build
	@tests/install-packages $(RUN_CAMERA)
	target/debug/soak --minutes $(MINUTES)

## Ten thousand simulated hours of bad networks: who is declared lost in vain?
suspicion:
	$(CARGO) run --release -p tests --bin suspicion

## A day of ups and downs with a hundred clients: nothing may grow.
flapping: ready
	$(CARGO) build --release --workspace --bins
	target/release/flapping

## Each fuzz target for a minute; needs cargo-fuzz.
fuzz:
	cd tests && for target in $$(RUSTC_BOOTSTRAP=1 cargo fuzz list); do \
		mkdir -p fuzz/corpus/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=60 || exit 1; done
