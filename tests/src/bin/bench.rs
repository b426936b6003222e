//! `make bench`: what was promised in numbers, measured beside what pistop, mosquitto, gst-launch-1.0 and
//! awscli do, in one run on one machine.
//!
//! Everything happens on the loopback and in network namespaces of its own; every process that it ends it has
//! started. Exit code 1 if a target was missed and `--strict` is given, or if something could not be measured.

#[path = "../bench/mod.rs"]
mod bench;

use bench::ground::cleanup::Scratch;
use bench::ground::numbers;
use bench::report::Report;
use bench::{Plan, bus, detection, fan_out, footage, hold, memory, rivals};
use clap::{Parser, ValueEnum};
use std::fs;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// Measures what was promised, and says PASS or MISS beside each target.
#[derive(Debug, Parser)]
struct Options {
    /// Measure only this (may be given more than once)
    #[arg(long, value_name = "NAME")]
    only: Vec<Part>,
    /// Fewer clients, rounds and trials
    #[arg(long)]
    quick: bool,
    /// Exit with 1 if a target is missed
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Events,
    Latency,
    Followers,
    FanOut,
    Memory,
    Hold,
    ServerUp,
    Kill,
    Cut,
    Cameras,
    Uploads,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(missed) if missed > 0 && options.strict => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<usize> {
    let plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    let scratch = Scratch::open("pistop-bench")?;
    let mut report = Report::default();
    raise_open_files()?;
    print_machine()?;
    for part in Part::value_variants() {
        if options.only.is_empty() || options.only.contains(part) {
            part.measure(&plan, &scratch, &mut report)?;
        }
    }
    let missed = report.conclude();
    println!("\nRepeat it with `make bench`; one part alone with `target/release/bench --only events`, for one.");
    Ok(missed)
}

impl Part {
    fn measure(self, plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
        match self {
            Part::Events => bus::events(plan, scratch, report),
            Part::Latency => bus::latency(plan, scratch, report),
            Part::Followers => bus::followers(plan, scratch, report),
            Part::FanOut => fan_out::measure(plan, scratch, report),
            Part::Memory => memory::measure(plan, scratch, report),
            Part::Hold => hold::measure(plan, scratch, report),
            Part::ServerUp => detection::server_up(plan, scratch, report),
            Part::Kill => detection::killed(plan, scratch, report),
            Part::Cut => detection::cut(plan, scratch, report),
            Part::Cameras => footage::cameras(plan, scratch, report),
            Part::Uploads => footage::uploads(plan, scratch, report),
        }
    }
}

/// The generator holds one descriptor a client, and so do the servers that inherit its limit.
fn raise_open_files() -> io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard.min(1 << 20), hard)?)
}

fn print_machine() -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, {}, kernel {}", processor(), first_line("/proc/sys/kernel/osrelease"));
    println!("tcpserver: ucspi-tcp {}; mosquitto: {}", rivals::version("ucspi-tcp"), rivals::version("mosquitto"));
    println!("gst-launch-1.0: {}; aws: {}", rivals::version("gstreamer1.0-tools"), rivals::version("awscli"));
    let idle = numbers::idle(Duration::from_secs(1))?;
    println!("before the start: processors {idle:.0} % idle, load average {}", first_line("/proc/loadavg"));
    Ok(())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown processor".into(), |(_, name)| name.into())
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or("unknown").into()
}
